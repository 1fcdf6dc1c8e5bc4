//go:build dpdk

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/strata-dns/strata/bench/packets"
	"github.com/strata-dns/strata/core/plane/dpdk"
)

// An asker sends the sequence and accounts for the replies.
type asker struct {
	raw      *dpdk.Raw
	sequence *packets.Sequence
	hz       float64
	warm     time.Duration
	span     time.Duration
	window   int
	patience uint64
	pace     *packets.Pace

	flights *packets.Flights
	kept    int // frames made that the port has not taken

	count tally
}

// A tally is what is counted of a span.
type tally struct {
	sent, received, lost, unexpected, empty uint64
	polls, full                             uint64
	rcodes                                  [16]uint64
	behind                                  uint64
	latency                                 packets.Histogram
}

func (a *asker) cycles(d time.Duration) uint64 { return uint64(d.Seconds() * a.hz) }

// step makes what is due, sends it, and reads what has come.
func (a *asker) step() error {
	made := a.kept + a.make(dpdk.RawBurst-a.kept)
	kept, received, err := a.raw.Exchange(made)
	if err != nil {
		return err
	}
	a.kept = kept
	a.count.polls++
	if kept > 0 {
		a.count.full++
	}
	now := a.raw.Now()
	for i := range received {
		a.read(a.raw.Received(i), now)
	}
	a.count.lost += uint64(a.flights.Sweep(now))
	return nil
}

// make fills at most most frames, behind those that are kept.
func (a *asker) make(most int) int {
	now := a.raw.Now()
	n := a.pace.Due(now, min(most, a.window-a.flights.Flying(), a.flights.Room()))
	for i := range n {
		due := a.pace.Take(now)
		frame := a.raw.Frame(a.kept + i)
		length := copy(frame, a.sequence.Next())
		a.sequence.Stamp(frame[:length], a.flights.Launch(due, now))
		a.raw.Filled(a.kept+i, length)
		a.count.behind = max(a.count.behind, now-min(due, now))
	}
	a.count.sent += uint64(n)
	return n
}

func (a *asker) read(frame []byte, now uint64) {
	r, ok := a.sequence.Read(frame)
	if !ok {
		return // somebody else's
	}
	due, ok := a.flights.Land(r.Number)
	if !ok {
		a.count.unexpected++
		return
	}
	a.count.received++
	a.count.rcodes[r.RCode]++
	if r.RCode == 0 && !r.Answers {
		a.count.empty++
	}
	a.count.latency.Record(now - min(due, now))
}

// until steps to a moment, or the end of ctx.
func (a *asker) until(ctx context.Context, end uint64) error {
	for a.raw.Now() < end {
		for range 64 {
			if err := a.step(); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// meeting is how long the other side may take until it answers.
const meeting = 30 * time.Second

// meet asks now and then until there is an answer.
func (a *asker) meet(ctx context.Context) error {
	if _, _, err := a.raw.Exchange(0); err != nil {
		return err
	}
	a.window, a.pace = 1, packets.NewPace(a.raw.Now(), 100, a.hz)
	for end := a.raw.Now() + a.cycles(meeting); a.count.received == 0; {
		if a.raw.Now() > end {
			return fmt.Errorf("no answer in %v", meeting)
		}
		if err := a.until(ctx, a.raw.Now()+a.cycles(time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// report asks at one rate for the whole time.
func (a *asker) report(ctx context.Context, rate float64) (*packets.Report, error) {
	a.pace = packets.NewPace(a.raw.Now(), rate, a.hz)
	if err := a.until(ctx, a.raw.Now()+a.cycles(a.warm)); err != nil {
		return nil, err
	}
	a.count = tally{}
	a.raw.Longest()
	r := &packets.Report{RCodes: map[string]uint64{}}
	begin := a.raw.Now()
	for second := range int(a.span / time.Second) {
		before := a.count.received
		if err := a.until(ctx, begin+a.cycles(time.Duration(second+1)*time.Second)); err != nil {
			return nil, err
		}
		r.PerSecond = append(r.PerSecond, a.count.received-before)
	}
	r.Seconds, r.QPS = float64(a.raw.Now()-begin)/a.hz, float64(a.count.received)/(float64(a.raw.Now()-begin)/a.hz)
	r.Longest = a.raw.Longest()
	if err := a.drain(ctx); err != nil {
		return nil, err
	}
	a.fill(r)
	return r, nil
}

// drain waits for what is in flight.
func (a *asker) drain(ctx context.Context) error {
	a.window = 0
	for end := a.raw.Now() + 2*a.patience; a.flights.Flying() > 0 && a.raw.Now() < end; {
		if err := a.until(ctx, a.raw.Now()+a.cycles(time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// names of RCODEs (RFC 1035 §4.1.1).
var rcodes = []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}

func (a *asker) fill(r *packets.Report) {
	c := &a.count
	r.Sent, r.Received, r.Lost, r.Unexpected, r.Empty = c.sent, c.received, c.lost, c.unexpected, c.empty
	r.Deviation, r.Latency = packets.Deviation(r.PerSecond), c.latency.Latency(a.hz)
	r.Full = float64(c.full) / float64(max(c.polls, 1))
	r.Behind = time.Duration(float64(c.behind) / a.hz * float64(time.Second))
	for code, n := range c.rcodes {
		if n > 0 && code < len(rcodes) {
			r.RCodes[rcodes[code]] = n
		} else if n > 0 {
			r.RCodes[fmt.Sprintf("RCODE%d", code)] = n
		}
	}
}
