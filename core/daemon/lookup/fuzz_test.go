package lookup

import (
	"testing"

	"github.com/miekg/dns"
)

// What is taken for a question can be sent as one.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, name, typ string, reverse bool) {
		var q Query
		if q.Parse([]string{name, typ}, reverse) != nil {
			return
		}
		if _, err := new(dns.Msg).SetQuestion(q.Name, q.Type).Pack(); err != nil {
			t.Errorf("%q %q: %q cannot be packed: %v", name, typ, q.Name, err)
		}
	})
}
