package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

const soa = "example. 600 IN SOA ns.example. hostmaster.example. 1 7200 900 1209600 300"

// TestTimeToLive goes through what upstream may say, and how long that is served.
func TestTimeToLive(t *testing.T) {
	caps := []Cap{{wire.MustName("svc.cluster.local"), 500 * time.Millisecond}, {wire.MustName("cluster.local"), time.Second}, {wire.MustName("never.example"), 0}}
	for _, tt := range []struct {
		what    string
		name    string
		records []string
		rcode   int
		fresh   float64 // seconds for which it is; 0 for never stored
		after   float64 // then the first record's TTL is:
		ttl     uint32
	}{
		{"one address", "a.example.", []string{"a.example. 60 IN A 192.0.2.1"}, 0, 60, 59.9, 1},
		{"the least TTL decides", "a.example.", []string{"a.example. 60 IN CNAME b.example.", "b.example. 20 IN A 192.0.2.1"}, 0, 20, 10, 50},
		{"more than a week", "a.example.", []string{"a.example. 2000000 IN A 192.0.2.1"}, 0, 604800, 0.5, 604800},
		{"top bit set", "a.example.", []string{"a.example. 2147483649 IN A 192.0.2.1"}, 0, 604800, 0.5, 604800},
		{"zero", "a.example.", []string{"a.example. 0 IN A 192.0.2.1"}, 0, 0, 0, 0},
		{"one of two is zero", "a.example.", []string{"a.example. 0 IN CNAME b.example.", "b.example. 20 IN A 192.0.2.1"}, 0, 0, 0, 0},
		{"the authority section does not count", "a.example.", []string{"a.example. 60 IN A 192.0.2.1", "AUTHORITY", "example. 5 IN NS ns.example."}, 0, 60, 10, 50},
		{"no such name", "a.example.", []string{"AUTHORITY", soa}, dns.RcodeNameError, 300, 299.9, 1},
		{"no such type", "a.example.", []string{"AUTHORITY", soa}, 0, 300, 10, 290},
		{"the SOA's own TTL is less", "a.example.", []string{"AUTHORITY", "example. 7 IN SOA ns.example. h.example. 1 2 3 4 300"}, 0, 7, 1, 6},
		{"an hour at most", "a.example.", []string{"AUTHORITY", "example. 9000 IN SOA ns.example. h.example. 1 2 3 4 8000"}, 0, 3600, 600, 3000},
		{"minimum zero", "a.example.", []string{"AUTHORITY", "example. 9000 IN SOA ns.example. h.example. 1 2 3 4 0"}, 0, 0, 0, 0},
		{"the alias before is shorter", "a.example.", []string{"a.example. 9 IN CNAME b.example.", "AUTHORITY", soa}, dns.RcodeNameError, 9, 1, 8},
		{"capped under a suffix", "x.cluster.local.", []string{"AUTHORITY", "cluster.local. 30 IN SOA ns.cluster.local. h. 1 2 3 4 30"}, dns.RcodeNameError, 1, 0.5, 1},
		{"capped below a second", "x.svc.cluster.local.", []string{"AUTHORITY", "cluster.local. 30 IN SOA ns.cluster.local. h. 1 2 3 4 30"}, dns.RcodeNameError, 0.5, 0.4, 1},
		{"not under the suffix", "xcluster.local.", []string{"AUTHORITY", "local. 30 IN SOA ns.cluster.local. h. 1 2 3 4 30"}, dns.RcodeNameError, 30, 10, 20},
		{"not kept at all under the suffix", "x.never.example.", []string{"AUTHORITY", soa}, dns.RcodeNameError, 0, 0, 0},
		{"what there is under the suffix", "x.never.example.", []string{"x.never.example. 60 IN A 192.0.2.1"}, 0, 60, 10, 50},
		{"the alias's target is under the suffix", "a.example.", []string{"a.example. 9 IN CNAME x.cluster.local.", "AUTHORITY", "cluster.local. 30 IN SOA ns.cluster.local. h. 1 2 3 4 30"}, dns.RcodeNameError, 1, 0.5, 9},
		{"top bit set in the SOA", "a.example.", []string{"AUTHORITY", "example. 4294967295 IN SOA ns.example. h.example. 1 2 3 4 300"}, dns.RcodeNameError, 300, 10, 290},
		{"top bit set in the minimum", "a.example.", []string{"AUTHORITY", "example. 300 IN SOA ns.example. h.example. 1 2 3 4 4294967295"}, dns.RcodeNameError, 300, 10, 290},
		{"nothing and no SOA", "a.example.", nil, 0, 5, 0, 0},
		{"no such name and no SOA", "a.example.", nil, dns.RcodeNameError, 5, 0, 0},
		{"a SOA of elsewhere", "a.example.", []string{"AUTHORITY", "other. 600 IN SOA ns.other. h.other. 1 2 3 4 300"}, dns.RcodeNameError, 5, 0, 0},
		{"an alias to where upstream does not go", "a.example.", []string{"a.example. 90 IN CNAME b.other."}, 0, 90, 80, 10},
	} {
		t.Run(tt.what, func(t *testing.T) {
			play(t, Options{Negative: caps}, func(s *scene) {
				box := s.wait(tt.name, dns.TypeA)
				call := s.next()
				call.done(message(call.Question, tt.rcode, tt.records...), nil)
				if m := s.reply(box); m.Rcode != tt.rcode {
					t.Errorf("late reply with code %d, want %d", m.Rcode, tt.rcode)
				}
				if tt.fresh == 0 {
					if _, state := s.ask(tt.name, dns.TypeA); state != Miss {
						t.Fatalf("stored: %v", state)
					}
					return
				}
				time.Sleep(seconds(tt.after))
				m, state := s.ask(tt.name, dns.TypeA)
				if state != Hit || m.Rcode != tt.rcode {
					t.Fatalf("after %v s: %v, want a hit", tt.after, state)
				}
				if tt.ttl != 0 && ttlOf(m) != tt.ttl {
					t.Errorf("after %v s: TTL %d, want %d", tt.after, ttlOf(m), tt.ttl)
				}
				time.Sleep(seconds(tt.fresh-tt.after) - 2*time.Millisecond)
				if _, state := s.ask(tt.name, dns.TypeA); state != Hit {
					t.Errorf("just before %v s: %v, want a hit", tt.fresh, state)
				}
				time.Sleep(3 * time.Millisecond)
				if _, state := s.ask(tt.name, dns.TypeA); state != Miss {
					t.Errorf("just behind %v s: %v, want a miss", tt.fresh, state)
				}
			})
		})
	}
}

// TestRecordsAgeApart checks that each record counts down from its own TTL, and
// none below zero.
func TestRecordsAgeApart(t *testing.T) {
	play(t, Options{}, func(s *scene) {
		box := s.wait("a.example.", dns.TypeA, withDO)
		s.next().answer("a.example. 60 IN A 192.0.2.1", rrsig("a.example.", "A"), "AUTHORITY",
			"b.example. 10 IN NSEC c.example. A", "example. 60 IN NS ns.example.")
		s.reply(box)
		time.Sleep(30 * time.Second)
		m, _ := s.ask("a.example.", dns.TypeA, withDO)
		if len(m.Answer) != 2 || m.Answer[0].Header().Ttl != 30 || len(m.Ns) != 1 || m.Ns[0].Header().Ttl != 0 {
			t.Errorf("after 30 s:\n%v", m)
		}
	})
}
