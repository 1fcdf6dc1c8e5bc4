package policy

import "strings"

// A topKind says how surely a label is a top-level domain.
type topKind uint8

const (
	topNone  topKind = iota
	topOurs          // of a zone of ours or a search domain
	topLoose         // may as well be a Kubernetes service: app, dev, io, qa
	topSure          // hardly a service or namespace: com
	topExtra         // no service or namespace: the operator says so
)

// sureTops are the top-level domains that hardly anybody calls a service.
const sureTops = "com net org edu gov mil arpa"

// looseTops are the other common ones and the country codes of ISO 3166-1, with
// the four that are delegated beside it.
const looseTops = "int io dev app info biz co name pro xyz cloud online site tech store shop " +
	"ac ad ae af ag ai al am ao aq ar as at au aw ax az " +
	"ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz " +
	"ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz " +
	"de dj dk dm do dz ec ee eg eh er es et eu fi fj fk fm fo fr " +
	"ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy " +
	"hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp " +
	"ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly " +
	"ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz " +
	"na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py " +
	"qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz " +
	"tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk um us uy uz " +
	"va vc ve vg vi vn vu wf ws ye yt za zm zw"

func builtinTops() map[string]topKind {
	tops := make(map[string]topKind, 320)
	for l := range strings.FieldsSeq(looseTops) {
		tops[l] = topLoose
	}
	for l := range strings.FieldsSeq(sureTops) {
		tops[l] = topSure
	}
	return tops
}
