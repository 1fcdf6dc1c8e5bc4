package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The loads of the table recursor-dead.
const (
	idleHits  = "cached names, nothing else"
	whileWait = "cached names, while 100,000 questions wait for a dead upstream"
	whileOver = "cached names, while these are given up"
	besideAll = "cached names, 55,000 new ones a second for a dead upstream"
)

const (
	waiting    = 100_000
	waitingAll = 99_900                  // of these, as the last of the cached names is answered: some were asked long before the others
	waitBudget = 1800 * time.Millisecond // how long ours lets one wait
	waitMargin = 100 * time.Millisecond  // before that, they are said to wait no more
	waitLeast  = 200 * time.Millisecond  // of hits while they wait, however late they were taken up
	overFor    = 1500 * time.Millisecond // of hits from then on
	deadHits   = 5000                    // queries a second for cached names
	deadBouts  = 5                       // of a round, each with a new process
)

// abandoned are the contenders of the table recursor-dead.
var abandoned = []Contender{
	{Name: "Strata", Ours: true, Program: "recursor", Version: []string{"version"},
		Files: map[string]string{"recursor-dead.yaml": "recursor.yaml"},
		Args:  []string{"serve", "--config", "{{.Dir}}/recursor.yaml"}},
	{Name: "unbound", Package: "unbound", Program: "unbound", Version: []string{"-V"},
		Files: map[string]string{"unbound-dead.conf": "unbound.conf"},
		Args:  []string{"-d", "-c", "{{.Dir}}/unbound.conf"}},
}

// A dead is the table recursor-dead: cached answers while other questions wait for a
// server that does not answer.
type dead struct {
	*table
	w      *warmth
	asking Asking
	dying  *Upstream // of the names never heard of
}

func recursorDead(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, abandoned, command)
	if err != nil {
		return nil, err
	}
	w, err := newWarmth(set)
	if err != nil {
		return nil, err
	}
	defer w.close()
	dying, err := newUpstream(0, 86400) // served by nobody
	if err != nil {
		return nil, err
	}
	defer dying.close()
	list, err := questions(w.names)
	if err != nil {
		return nil, err
	}
	d := &dead{t, w, Asking{Questions: list, Rate: deadHits, Patience: time.Second}, dying}
	t.run.Settings = append(append(set.sentences()[:3], w.sentences()...), d.sentences()...)
	seat := Seat{Origin: origin, Upstream: w.upstream.Port, Dead: dying.Port}
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		return d.round(ctx, seat, round, c, s)
	})
	return t.run, err
}

func (d *dead) sentences() []string {
	return []string{
		fmt.Sprintf("Cached names are asked for at %d queries/s, by an open-loop client (asking.go). Their answers are the latencies below; one without an answer counts as having waited a second.", deadHits),
		fmt.Sprintf("%d times a round a new process is asked for them alone for %d s in all. Then %d questions for names never heard of are asked as fast as they are taken up (with each 64 a cached name, whose answer says so). Until all wait their upstream server answers one every %v, for a server known to be dead is asked no more; then it is a socket that nobody reads. From then on the cached names are asked for until the first of the others would be given up, %v after it was asked, and then for %v more.",
			deadBouts, d.set.Seconds, waiting, glimpseEach, waitBudget, overFor),
		fmt.Sprintf("Waiting is how many of the others were without an answer when the last of the cached names was asked for, before any is given up (the least of a round's %d), in the last table the most at once.", deadBouts),
		fmt.Sprintf("In the last table cached names are asked for in the %d s from the first of %d questions/s for names never heard of, without end, for the same upstream server, which answers nobody from the first question on: a server that knows it to be dead need not let them wait.",
			d.set.Seconds, floodRate),
	}
}

// round measures a contender in several processes; s is the first.
func (d *dead) round(ctx context.Context, seat Seat, round int, c Contender, s *Server) error {
	var idle, wait, over, beside sum
	bout := func(ctx context.Context, _ int, _ Contender, s *Server, _ time.Time) error {
		return d.bout(ctx, s, &idle, &wait, &over)
	}
	if err := bout(ctx, round, c, s, time.Time{}); err != nil {
		return err
	}
	s.stop()
	for range deadBouts - 1 {
		if err := d.once(ctx, seat, round, c, bout); err != nil {
			return err
		}
	}
	err := d.once(ctx, seat, round, c, func(ctx context.Context, _ int, _ Contender, s *Server, _ time.Time) error {
		return d.flood(ctx, s, &beside)
	})
	if err != nil {
		return err
	}
	for _, of := range []struct {
		*sum
		load string
	}{{&idle, idleHits}, {&wait, whileWait}, {&over, whileOver}, {&beside, besideAll}} {
		sample := of.total(d.asking.Patience)
		if of.sum != &idle {
			sample.IdleP99 = quantile(idle.all(d.asking.Patience), 0.99)
		}
		d.add(sample, of.load, c, round)
	}
	return nil
}

// bout measures one process: alone, while the others wait, and from then on.
func (d *dead) bout(ctx context.Context, s *Server, idle, wait, over *sum) error {
	if err := d.w.warm(ctx, s); err != nil {
		return err
	}
	asking := d.asking
	asking.Count = deadHits * d.set.Seconds / deadBouts
	if err := idle.ask(d.set, s, asking); err != nil {
		return err
	}
	u, err := newUnheard(s.Seat.Port)
	if err != nil {
		return err
	}
	defer u.close()
	if err := u.fill(waiting, d.asking.Questions[0], s.Seat.Port, d.dying); err != nil {
		return err
	}
	asking.Beside = func(time.Time, time.Duration) { u.drain() }
	asking.Count = asked(max(waitLeast, waitBudget-waitMargin-time.Since(u.began)))
	if err := wait.ask(d.set, s, asking); err != nil {
		return err
	}
	if wait.waiting == 0 || u.waiting() < wait.waiting {
		wait.waiting, over.waiting = u.waiting(), u.waiting()
	}
	asking.Count = asked(overFor)
	return over.ask(d.set, s, asking)
}

// asked is how many cached names are asked for in that time.
func asked(span time.Duration) int { return int(deadHits * span.Seconds()) }

// flood measures a process while questions without end come beside.
func (d *dead) flood(ctx context.Context, s *Server, beside *sum) error {
	if err := d.w.warm(ctx, s); err != nil {
		return err
	}
	u, err := newUnheard(s.Seat.Port)
	if err != nil {
		return err
	}
	defer u.close()
	asking := d.asking
	asking.Count, asking.Beside = deadHits*d.set.Seconds, u.step
	err = beside.ask(d.set, s, asking)
	beside.waiting = u.most
	return err
}

// A sum is the same load, asked several times.
type sum struct {
	Waits
	Sample
	waiting int
}

// ask asks once more.
func (m *sum) ask(set Setting, s *Server, asking Asking) error {
	sample, err := account(s, func() (Sample, error) {
		before := ownTime()
		w, err := asking.run(s.Seat.Port)
		m.Waits.add(w)
		return Sample{LoadCPU: ownTime() - before}, err
	})
	m.CPU, m.CPUTicks, m.LoadCPU = m.CPU+sample.CPU, m.CPUTicks+sample.CPUTicks, m.LoadCPU+sample.LoadCPU
	m.CPUFrom = sample.CPUFrom
	m.Stolen, m.Others = max(m.Stolen, sample.Stolen), max(m.Others, sample.Others)
	m.Resident, m.Peak = max(m.Resident, sample.Resident), max(m.Peak, sample.Peak)
	return err
}

func (w *Waits) add(more Waits) {
	w.Asked, w.Failed, w.Unanswered = w.Asked+more.Asked, w.Failed+more.Failed, w.Unanswered+more.Unanswered
	w.Latencies = append(w.Latencies, more.Latencies...)
	w.Late, w.Seconds = max(w.Late, more.Late), w.Seconds+more.Seconds
}

// total is what the client saw in all.
func (m *sum) total(patience time.Duration) Sample {
	slices.Sort(m.Latencies)
	s := m.Waits.sample(patience)
	s.CPU, s.CPUTicks, s.CPUFrom, s.LoadCPU = m.CPU, m.CPUTicks, m.CPUFrom, m.LoadCPU
	s.Stolen, s.Others, s.Resident, s.Peak = m.Stolen, m.Others, m.Resident, m.Peak
	s.Waiting = int64(m.waiting)
	return s
}
