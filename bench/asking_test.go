package main

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// upstreamFor starts a served upstream that ends with the test.
func upstreamFor(t *testing.T, delay time.Duration) *Upstream {
	t.Helper()
	up, err := newUpstream(delay, 60)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.close)
	return up
}

// The client sees the delay, all of it, for every name, and the upstream counts
// each question of each client.
func TestAskingTheUpstream(t *testing.T) {
	const names, delay = 300, 15 * time.Millisecond
	up := upstreamFor(t, delay)
	list := hostNames(0, names)
	asked, err := questions(repeated(list, 2))
	if err != nil {
		t.Fatal(err)
	}
	w, err := Asking{Questions: asked, Count: 2 * names, Rate: 20_000, Sockets: 2, Patience: 10 * time.Second,
		Beside: func(now time.Time, _ time.Duration) { up.step(now) }}.run(up.Port)
	if err != nil {
		t.Fatal(err)
	}
	if w.Asked != 2*names || len(w.Latencies) != 2*names || w.Failed != 0 || w.Unanswered != 0 {
		t.Fatalf("asked %d, right %d, failed %d, unanswered %d", w.Asked, len(w.Latencies), w.Failed, w.Unanswered)
	}
	if w.Latencies[0] < delay {
		t.Errorf("an answer came after %v, before the upstream gave it", w.Latencies[0])
	}
	if n, most := up.total(nil), up.most(each(list)); n != 2*names || most != 2 {
		t.Errorf("the upstream counts %d questions, %d of the most asked", n, most)
	}
	if took := up.p99(); took < delay || took > w.Latencies[len(w.Latencies)-1] {
		t.Errorf("the upstream took %v, the slowest client waited %v", took, w.Latencies[len(w.Latencies)-1])
	}
	if up.forget(); up.total(nil) != 0 || up.p99() != 0 {
		t.Error("a count outlives forget")
	}
}

// A served upstream answers others too: A with the address that is given, the
// rest with NODATA.
func TestUpstreamServes(t *testing.T) {
	up := upstreamFor(t, 0)
	halt := up.serve()
	defer halt()
	s := &Server{Seat: Seat{Port: up.Port}}
	a, err := s.exchange(t.Context(), new(dns.Msg).SetQuestion("Web."+origin+".", dns.TypeA))
	if err != nil || len(a.Answer) != 1 {
		t.Fatal(a, err)
	}
	if want := given("web." + origin); !a.Answer[0].(*dns.A).A.Equal(want[:]) {
		t.Errorf("%v, want %v", a.Answer[0], want)
	}
	none, err := s.exchange(t.Context(), new(dns.Msg).SetQuestion("web."+origin+".", dns.TypeAAAA).SetEdns0(1232, false))
	if err != nil || none.Rcode != dns.RcodeSuccess || len(none.Answer) != 0 || len(none.Ns) != 1 || none.IsEdns0() == nil {
		t.Fatal(none, err)
	}
	if up.most([]string{"web." + origin + ". A"}) != 1 || up.most([]string{"web." + origin + ". AAAA"}) != 1 {
		t.Error("counts", up.asked)
	}
}

// What is answered wrongly fails; what is not answered is given up, when its
// time is over or its ID is needed again.
func TestAskingInVain(t *testing.T) {
	up := upstreamFor(t, 0)
	wrong, err := newQuestion("web."+origin, [4]byte{192, 0, 2, 1})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Asking{Questions: []Question{wrong}, Count: 10, Patience: 10 * time.Second,
		Beside: func(now time.Time, _ time.Duration) { up.step(now) }}.run(up.Port)
	if err != nil || w.Failed != 10 || len(w.Latencies) != 0 || w.Unanswered != 0 {
		t.Errorf("the wrong address: %+v, %v", w, err)
	}
	for _, c := range []struct {
		count    int
		patience time.Duration
	}{{10, 20 * time.Millisecond}, {ids + 10, time.Second}} {
		w, err := Asking{Questions: []Question{wrong}, Count: c.count, Patience: c.patience}.run(up.Port)
		if err != nil || w.Unanswered != c.count || w.Failed != 0 || len(w.Latencies) != 0 {
			t.Errorf("nobody answers %d: %d unanswered, %d failed, %v", c.count, w.Unanswered, w.Failed, err)
		}
	}
}

// An absence lasts its time, and who asked meanwhile is refused by the kernel.
func TestAbsence(t *testing.T) {
	up := upstreamFor(t, 0)
	a := absence{up: up}
	now := time.Now()
	for _, c := range []struct {
		since time.Duration
		open  bool
	}{{0, true}, {awayFrom - 1, true}, {awayFrom, false}, {awayFrom + awayFor - 1, false}, {awayFrom + awayFor, true}, {awayFrom + awayFor + awayAfter, true}} {
		a.step(now, c.since)
		if open := up.fd >= 0; open != c.open || a.err != nil {
			t.Errorf("after %v open is %v, %v", c.since, open, a.err)
		}
	}
}

// Who loses half of the queries has no short median.
func TestWaitsCountWhatIsLost(t *testing.T) {
	w := Waits{Latencies: []time.Duration{1, 2, 3}, Unanswered: 4}
	if all := w.all(time.Second); len(all) != 7 || quantile(all, 0.5) != time.Second || quantile(w.Latencies, 0.5) != 2 {
		t.Errorf("the waits are %v", all)
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		asked int
		id    uint16
		want  int
	}{{1, 0, 0}, {10, 9, 9}, {10, 10, 10 - ids}, {ids, ids - 1, ids - 1}, {ids + 5, 4, ids + 4}, {ids + 5, 5, 5}} {
		r := asker{Waits: Waits{Asked: c.asked}}
		if n := r.number(c.id); n != c.want {
			t.Errorf("asked %d, ID %d: number %d, want %d", c.asked, c.id, n, c.want)
		}
	}
}
