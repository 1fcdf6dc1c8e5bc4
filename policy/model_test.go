package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

// A model decides as the package's documentation says, by looking at each rule in
// turn. Names are label lists.
type model struct {
	data, transparent, static, refused, aaaa, search, keep, ours [][]string
	tops                                                         map[string]topKind
}

func labels(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == '.' }) }

func splitAll(list []string) (all [][]string) {
	for _, s := range list {
		all = append(all, labels(s))
	}
	return all
}

func newModel(c Config, env Env) *model {
	m := &model{transparent: splitAll(c.Transparent), static: splitAll(c.Static), refused: splitAll(c.Refused),
		aaaa: splitAll(c.BlockAAAA), search: splitAll(c.Search), keep: splitAll(c.Junk.Keep), ours: splitAll(env.Zones), tops: builtinTops()}
	for _, s := range c.Data {
		m.data = append(m.data, labels(strings.Fields(s)[0]))
	}
	for _, name := range slices.Concat(m.search, m.ours) {
		last := name[len(name)-1]
		m.tops[last] = max(m.tops[last], topOurs)
	}
	for _, s := range c.Junk.Extra {
		m.tops[s] = topExtra
	}
	for _, name := range m.keep {
		if len(name) == 1 {
			delete(m.tops, name[0])
		}
	}
	m.keep = slices.DeleteFunc(m.keep, func(name []string) bool { return len(name) == 1 })
	return m
}

func under(name, zone []string) bool {
	return len(name) >= len(zone) && slices.Equal(name[len(name)-len(zone):], zone)
}

// longest is the longest of the zones that hold a name, nil for none.
func longest(name []string, zones [][]string) (found []string) {
	for _, z := range zones {
		if under(name, z) && len(z) > len(found) {
			found = z
		}
	}
	return found
}

// decide gives the kind of the rule and the response code.
func (m *model) decide(name []string, typ uint16) (Kind, uint8) {
	zones := map[Kind][][]string{KindTransparent: m.transparent, KindStatic: m.static, KindRefused: m.refused}
	open := longest(name, m.transparent)
	kind, zone := KindNone, []string(nil)
	for k, list := range zones {
		if z := longest(name, list); len(z) > len(zone) {
			kind, zone = k, z
		}
	}
	given := slices.ContainsFunc(m.data, func(d []string) bool { return slices.Equal(d, name) })
	switch {
	case given && (typ == wire.TypeA || kind != KindRefused):
		return KindData, wire.RcodeSuccess
	case kind == KindRefused:
		return kind, wire.RcodeRefused
	case kind == KindStatic:
		exists := slices.Equal(name, zone)
		for _, below := range slices.Concat(m.data, m.transparent, m.static, m.refused) {
			exists = exists || under(below, name)
		}
		if exists {
			return kind, wire.RcodeSuccess
		}
		return kind, wire.RcodeNXDomain
	}
	if s := longest(name, m.search); len(s) > len(open) && m.junk(name, s) {
		return KindJunk, wire.RcodeNXDomain
	}
	if s := longest(name, m.aaaa); typ == wire.TypeAAAA && len(s) > len(open) {
		return KindAAAA, wire.RcodeSuccess
	}
	return kind, wire.RcodeSuccess
}

func (m *model) junk(name, s []string) bool {
	front := name[:len(name)-len(s)]
	if len(front) < 2 || longest(name, m.keep) != nil {
		return false
	}
	for _, z := range m.ours { // within S, but no longer than a search domain below it
		if len(z) > len(s) && under(z, s) && under(name, z) {
			return false
		}
	}
	mentioned := slices.Concat(m.data, m.transparent, m.static, m.refused, m.aaaa, m.search, m.keep)
	for _, z := range m.ours {
		if longest(z[1:], m.search) != nil {
			mentioned = append(mentioned, z)
		}
	}
	if slices.ContainsFunc(mentioned, func(z []string) bool { return under(z, name) }) {
		return false
	}
	svc := slices.Index(s, "svc")
	top := func(front []string) topKind { return m.tops[front[len(front)-1]] }
	inNamespace := func(front []string) bool {
		switch port := strings.HasPrefix(front[0], "_"); {
		case len(front) > 3, len(front) == 3 && !port:
			return top(front) > topNone || front[len(front)-1] == "svc"
		case len(front) == 2:
			return top(front) >= topSure
		}
		return false
	}
	switch svc {
	default:
		return top(front) > topNone
	case 1:
		return inNamespace(front)
	case 0:
		switch port := strings.HasPrefix(front[0], "_"); {
		case len(front) > 4 && top(front) > topNone:
			return true
		case len(front) == 2, len(front) == 4 && port:
			return top(front) == topExtra
		}
		return top(front) >= topSure || inNamespace(front[:len(front)-1])
	}
}

// drawDotted draws names of few different labels, and of domains that matter, so
// that they meet.
func drawDotted(least, most int) *rapid.Generator[string] {
	label := rapid.SampledFrom([]string{"com", "io", "a", "svc", "local", "_x"})
	domain := rapid.SampledFrom([]string{"", "local", "svc.local", "a.svc.local", "a.local"})
	return rapid.Custom(func(t *rapid.T) string {
		front := rapid.SliceOfN(label, least, most).Draw(t, "labels")
		return strings.TrimSuffix(strings.Join(front, ".")+"."+domain.Draw(t, "domain"), ".")
	})
}

// Whatever the rules and the name: the compiled policy decides as the model does.
func TestLikeTheModel(t *testing.T) {
	decided := map[Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		names := func(what string, most int) []string {
			return rapid.SliceOfNDistinct(drawDotted(1, 3), 0, most, rapid.ID).Draw(t, what)
		}
		var c Config
		for _, zone := range names("zones", 4) {
			list := rapid.SampledFrom([]*[]string{&c.Transparent, &c.Static, &c.Refused}).Draw(t, "kind")
			*list = append(*list, zone)
		}
		c.BlockAAAA, c.Search, c.Junk.Keep = names("aaaa", 3), names("search", 2), names("keep", 1)
		c.Search = append(c.Search, rapid.SampledFrom([]string{"local", "svc.local", "a.svc.local"}).Draw(t, "search domain"))
		data := names("data", 2)
		for _, name := range data {
			c.Data = append(c.Data, name+" A 192.0.2.1")
		}
		if rapid.Bool().Draw(t, "extra") {
			c.Junk.Extra = []string{"a"}
		}
		env := Env{Zones: names("ours", 2)}
		p, err := Compile(c, env)
		if err != nil {
			t.Fatal(err)
		}
		m := newModel(c, env)
		ruled := slices.Concat(data, c.BlockAAAA, c.Transparent, c.Static, c.Refused)
		for range 60 {
			name := drawDotted(1, 6).Draw(t, "name")
			if len(ruled) > 0 && rapid.IntRange(0, 4).Draw(t, "of a rule") == 0 { // few are by chance
				name = rapid.SampledFrom(ruled).Draw(t, "ruled name")
			}
			typ := rapid.SampledFrom([]uint16{wire.TypeA, wire.TypeAAAA, wire.TypeMX}).Draw(t, "type")
			var q wire.Query
			q.SetName(wire.MustName(name))
			q.Type = typ
			v := p.AskNames(&q)
			kind, rcode := m.decide(labels(name), typ)
			got := v.Rcode
			if v.Action == Refuse {
				got = wire.RcodeRefused
			}
			if p.Kind(v) != kind || got != rcode {
				t.Fatalf("%s %d of %+v, ours %v:\ngot  %v, rcode %d\nwant %v, rcode %d", name, typ, c, env.Zones, p.Kind(v), got, kind, rcode)
			}
			decided[kind]++
		}
	})
	for _, kind := range []Kind{KindNone, KindData, KindTransparent, KindStatic, KindRefused, KindJunk, KindAAAA} {
		if decided[kind] == 0 {
			t.Errorf("no name was decided as %v", kind)
		}
	}
}
