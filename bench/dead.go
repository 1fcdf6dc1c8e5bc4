package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// The loads of the table recursor-dead.
const (
	idleHits  = "cached names, nothing else"
	besideAll = "cached names, 55,000 new ones a second for a dead upstream"
)

const (
	waiting    = 100_000
	waitBudget = 1800 * time.Millisecond // about how long ours lets one wait
	deadHits   = 5000                    // queries a second for cached names
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

// recursorDead measures cached answers while new names wait for a server that
// never answers.
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
	silent, err := newUpstream(0, 0) // bound, and read by nobody
	if err != nil {
		return nil, err
	}
	defer silent.close()
	list, err := questions(w.names)
	if err != nil {
		return nil, err
	}
	asking := Asking{Questions: list, Count: deadHits * set.Seconds, Rate: deadHits, Patience: time.Second}
	rate := int(waiting / waitBudget.Seconds())
	t.run.Settings = append(set.sentences()[:3], w.sentences()...)
	t.run.Settings = append(t.run.Settings,
		fmt.Sprintf("Cached names are asked for at %d queries/s for %d s, first alone, then beside %d questions/s for names never heard of, whose server is a socket that nobody reads: %d of them wait when each waits for %v.", deadHits, set.Seconds, rate, waiting, waitBudget),
		"Answers for cached names are the latencies below. Waiting is the most of the other questions that were without an answer at once.")
	seat := Seat{Origin: origin, Upstream: w.upstream.Port, Dead: silent.Port}
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if err := w.warm(ctx, s); err != nil {
			return err
		}
		idle, err := set.ask(s, asking)
		if err != nil {
			return err
		}
		t.add(idle, idleHits, c, round)
		f, err := newFlood(s.Seat.Port, rate)
		if err != nil {
			return err
		}
		defer f.close()
		asking := asking
		asking.Beside = f.step
		sample, err := set.ask(s, asking)
		if err != nil {
			return err
		}
		sample.IdleP99, sample.Waiting = idle.P99, int64(f.most)
		t.add(sample, besideAll, c, round)
		return nil
	})
	return t.run, err
}

// A flood asks for new names at its rate and counts who waits.
type flood struct {
	fds            []int
	rate           int
	query          []byte
	sent, answered int
	most           int
	turn           int // the socket read next
	buffer         [4096]byte
}

const floodSockets = 8

// floodName has a label of eight octets that each query writes anew.
const floodName = "00000000.dead.example."

func newFlood(port, rate int) (*flood, error) {
	query, err := new(dns.Msg).SetQuestion(floodName, dns.TypeA).Pack()
	if err != nil {
		return nil, fmt.Errorf("make a flood: %w", err)
	}
	f := &flood{rate: rate, query: query}
	for range floodSockets {
		fd, err := dial(port)
		if err != nil {
			f.close()
			return nil, err
		}
		f.fds = append(f.fds, fd)
	}
	return f, nil
}

func (f *flood) close() {
	for _, fd := range f.fds {
		unix.Close(fd)
	}
}

// step sends what is due by now, sixteen at most, so that the client beside it
// gets its turn.
func (f *flood) step(_ time.Time, since time.Duration) {
	due := int(since.Seconds() * float64(f.rate))
	for range 16 {
		if f.sent >= due {
			break
		}
		f.send()
	}
	for range 16 {
		if _, ok := read(f.fds[f.turn], f.buffer[:]); !ok {
			break
		}
		f.answered++
	}
	f.turn = (f.turn + 1) % floodSockets
	f.most = max(f.most, f.sent-f.answered)
}

func (f *flood) send() {
	const first = 12 + 1 // behind the header and the label's length
	n := f.sent
	for i := first + 7; i >= first; i-- {
		f.query[i] = "0123456789abcdef"[n&15]
		n >>= 4
	}
	binary.BigEndian.PutUint16(f.query, uint16(f.sent))
	write(f.fds[f.sent%floodSockets], f.query)
	f.sent++
}
