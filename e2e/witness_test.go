package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
)

// stubTimeout is how long a program waits for an answer: as the C library does.
const stubTimeout = 5 * time.Second

// A sighting is one question of a program and what came of it.
type sighting struct {
	name  string
	asked time.Time
	took  time.Duration
	err   error // nobody answered; the rest is then without meaning
	rcode int
	data  []string
	ttl   uint32
	ede   int // extended error, -1 for none
}

func (s sighting) String() string {
	what := fmt.Sprintf("%s %v TTL %d", dns.RcodeToString[s.rcode], s.data, s.ttl)
	if s.err != nil {
		what = s.err.Error()
	} else if s.ede >= 0 {
		what += fmt.Sprintf(" EDE %d", s.ede)
	}
	return fmt.Sprintf("%s %s after %s: %s", s.asked.Format("05.000"), s.name, s.took.Round(time.Millisecond/10), what)
}

// failed tells whether the program got nothing to go on with.
func (s sighting) failed() bool { return s.err != nil || s.rcode != dns.RcodeSuccess }

// stale tells whether the answer says that it is an old one (RFC 8914 §4.4).
func (s sighting) stale() bool { return s.ede == int(dns.ExtendedErrorCodeStaleAnswer) }

// A record is all that was seen, in the order it was asked.
type record []sighting

// A witness asks as programs on its host do, each question on its own, and keeps
// what it saw.
type witness struct {
	host   *hosts.Host
	server string // host:port, as the host reaches it

	mu   sync.Mutex
	seen record
	idle []net.Conn // sockets that nothing more will come to
}

// ask asks once for A, as a program would, and keeps it.
func (w *witness) ask(name string) sighting {
	s := w.look(name)
	w.mu.Lock()
	w.seen = append(w.seen, s)
	w.mu.Unlock()
	return s
}

// look asks once for A and does not keep it.
func (w *witness) look(name string) sighting { return w.lookFor(name, stubTimeout) }

func (w *witness) lookFor(name string, limit time.Duration) sighting {
	s := sighting{name: name, asked: time.Now(), ede: -1}
	conn, err := w.socket()
	if err != nil {
		s.err = err
		return s
	}
	client := dns.Client{Timeout: limit}
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	query.SetEdns0(1232, false)
	s.asked = time.Now()
	reply, _, err := client.ExchangeWithConn(query, &dns.Conn{Conn: conn})
	s.took = time.Since(s.asked)
	if err != nil {
		conn.Close()
		s.err = err
		return s
	}
	w.mu.Lock()
	w.idle = append(w.idle, conn)
	w.mu.Unlock()
	s.rcode, s.data = reply.Rcode, data(reply)
	if len(reply.Answer) > 0 {
		s.ttl = reply.Answer[0].Header().Ttl
	}
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				s.ede = int(e.InfoCode)
			}
		}
	}
	return s
}

// socket gives one of its own to a question. They are kept: a new one takes longer
// than an answer.
func (w *witness) socket() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := len(w.idle) - 1; last >= 0 {
		conn := w.idle[last]
		w.idle = w.idle[:last]
		return conn, nil
	}
	return w.host.Dial("udp", w.server, time.Second)
}

// every asks so often, each time for the name that is next, until the function it
// returns is called, which waits for the answers. A question does not wait for the
// one before.
func (w *witness) every(pause time.Duration, next func() string) (stop func()) {
	quit := make(chan struct{})
	var asking, all sync.WaitGroup
	asking.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			name := next()
			all.Go(func() { w.ask(name) })
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(quit)
		asking.Wait()
		all.Wait()
	})
}

// record is what was seen so far of names that begin so.
func (w *witness) record(prefix string) record {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := slices.Clone(w.seen)
	slices.SortFunc(r, func(a, b sighting) int { return a.asked.Compare(b.asked) })
	return r.which(func(s sighting) bool { return strings.HasPrefix(s.name, prefix) })
}

// which are those of which something holds.
func (r record) which(holds func(sighting) bool) record {
	return slices.DeleteFunc(slices.Clone(r), func(s sighting) bool { return !holds(s) })
}

// between are those that were asked from one time on, before another.
func (r record) between(from, to time.Time) record {
	return r.which(func(s sighting) bool { return !s.asked.Before(from) && s.asked.Before(to) })
}

func (r record) failed() record { return r.which(sighting.failed) }
func (r record) stale() record  { return r.which(sighting.stale) }

// slower are those that took longer than that.
func (r record) slower(than time.Duration) record {
	return r.which(func(s sighting) bool { return s.took > than })
}

// slowest is the longest wait.
func (r record) slowest() (most time.Duration) {
	for _, s := range r {
		most = max(most, s.took)
	}
	return most
}

// none asserts that there is none of those, and shows some where there are.
func (r record) none(t *testing.T, what string) {
	t.Helper()
	if len(r) > 0 {
		fail(t, "%d %s, the first:\n%s", len(r), what, r.first())
	}
}

// first are some of them, a line each.
func (r record) first() string {
	var b strings.Builder
	for _, s := range r[:min(len(r), 12)] {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}

// seldom asserts that these are at most one in a hundred of a record: what a busy
// machine does to a few is not the programs' doing.
func (r record) seldom(t *testing.T, of record, what string) {
	t.Helper()
	if len(r) > len(of)/100 {
		r.none(t, fmt.Sprintf("of %d %s", len(of), what))
	}
}

// some asserts that there were enough to say anything.
func (r record) some(t *testing.T, least int, what string) record {
	t.Helper()
	if len(r) < least {
		fail(t, "only %d %s, not %d", len(r), what, least)
	}
	return r
}

// truthful asserts that every answer is the one that the name has. No machine is
// too slow for that.
func (r record) truthful(t *testing.T, truth func(name string) string) {
	t.Helper()
	wrong := r.which(func(s sighting) bool {
		said := s.err == nil && s.rcode != dns.RcodeServerFailure
		return said && (s.rcode != dns.RcodeSuccess || !slices.Equal(s.data, []string{truth(s.name)}))
	})
	if len(wrong) > 0 {
		t.Errorf("%d wrong answers, the first:\n%s", len(wrong), wrong.first())
	}
}
