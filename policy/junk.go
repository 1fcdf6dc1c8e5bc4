package policy

import (
	"strings"

	"github.com/strata-dns/strata/core/wire"
)

// A searchKind says what may stand in front of a search domain.
type searchKind uint8

const (
	searchPlain      searchKind = iota
	searchServices              // NS.svc.ZONE: services
	searchNamespaces            // svc.ZONE: namespaces, and services in front of them
)

func searchKindOf(name []byte) searchKind {
	switch {
	case string(label(name)) == "svc":
		return searchNamespaces
	case string(label(wire.Parent(name))) == "svc":
		return searchServices
	}
	return searchPlain
}

// label is the first label of a name, empty for the root.
func label(name []byte) []byte { return name[1 : 1+int(name[0])] }

// A topKind says how surely a label is a top-level domain.
type topKind uint8

const (
	topNone  topKind = iota
	topLoose         // may as well be a Kubernetes namespace or service: app, dev, io, qa
	topSure
)

// isJunk reports whether the name is a whole name with a search domain behind.
func (p *Policy) isJunk(q *wire.Query, m *match) bool {
	if m.kept || m.exact != nil {
		return false
	}
	switch front := m.junkAt; m.search {
	case searchPlain:
		return p.topInFront(q, front) != topNone
	case searchServices:
		return p.junkInNamespace(q, front)
	default:
		return p.topInFront(q, front) == topSure || p.junkInNamespace(q, front-1)
	}
}

// junkInNamespace is isJunk for front labels before a namespace. Kubernetes has
// SERVICE, HOST.SERVICE and _PORT._PROTOCOL.SERVICE there (its DNS specification
// 1.1.0, §2.3 and §2.4) and with several clusters HOST.CLUSTER.SERVICE.
func (p *Policy) junkInNamespace(q *wire.Query, front int) bool {
	top := p.topInFront(q, front)
	if front >= 3 && label(q.Suffix(0))[0] != '_' {
		return top != topNone
	}
	return top == topSure
}

// topInFront looks at the last of front labels.
func (p *Policy) topInFront(q *wire.Query, front int) topKind {
	if front < 2 {
		return topNone
	}
	return p.tops[string(label(q.Suffix(front-1)))]
}

// sureTops are the top-level domains that nobody calls a service.
const sureTops = "com net org edu gov mil int arpa"

// looseTops are the other common ones and the country codes of ISO 3166-1, with
// the four that are delegated beside it.
const looseTops = "io dev app info biz co name pro xyz cloud online site tech store shop " +
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
