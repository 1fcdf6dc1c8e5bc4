package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/holder"
)

// The loads of the table nodecache-restart.
const (
	replacedUDP = "three restarts under full load, UDP"
	replacedTCP = "three restarts under full load, TCP"
)

const (
	replacements = 3
	replacePace  = 1100 * time.Millisecond // of load before each: longer than dnsperf waits for what the one before lost
	besideFor    = 400 * time.Millisecond  // two processes of a peer at once
	replaceNames = 2000
)

// A way is how operators replace a running server.
type way int

const (
	stopStart way = iota // SIGTERM, wait for its end, start
	beside               // start a second one on the same port (SO_REUSEPORT), then SIGTERM to the first
	takeOver             // serve --takeover, which ends the first by itself
	held                 // stop and start while a service manager has the sockets
)

// seconds is how long the load lasts: a little longer than all replacements, of a tenth
// of a second each.
func (w way) seconds() int {
	each := replacePace
	if w == beside {
		each += besideFor
	}
	return int(replacements*each/time.Second) + 1
}

// replaced are the contenders of the table nodecache-restart.
var replaced = []struct {
	Contender
	way way
}{
	{named(caches[0], "Strata"), takeOver},
	{named(caches[0], "Strata on held sockets"), held},
	{named(caches[0], "Strata stopped and started"), stopStart},
	{named(caches[1], "unbound stopped and started"), stopStart},
	{named(caches[1], "unbound with a second beside"), beside},
	{named(caches[3], "CoreDNS cache stopped and started"), stopStart},
	{named(caches[3], "CoreDNS cache with a second beside"), beside},
}

func named(c Contender, name string) Contender {
	c.Name = name
	return c
}

func replacedContenders() (all []Contender) {
	for _, r := range replaced {
		all = append(all, r.Contender)
	}
	return all
}

// nodecacheRestart measures what clients see while the server is replaced.
func nodecacheRestart(ctx context.Context, set Setting, command string) (*Run, error) {
	t, err := newTable(ctx, set, replacedContenders(), command)
	if err != nil {
		return nil, err
	}
	zone, each := filepath.Join(set.Work, "zone"), filepath.Join(set.Work, "restart")
	if err := writeZone(zone, set.Hosts); err != nil {
		return nil, err
	}
	if err := writeEach(each, replaceNames); err != nil {
		return nil, err
	}
	behind, name, err := set.upstream(ctx, zone)
	if err != nil {
		return nil, err
	}
	defer behind.stop()

	load := Load{File: each, Clients: set.Clients, Outstanding: set.InFlight, Seconds: stopStart.seconds()}
	stream := load
	stream.Stream = true
	t.run.Settings = append(set.sentences()[:3],
		fmt.Sprintf("%d warm names, %s behind the caches. The server is replaced %d times, %v of load before each; dnsperf gives a query up after 1 s.", replaceNames, name, replacements, replacePace),
		fmt.Sprintf("Stopped and started: SIGTERM, its end awaited, the same command again. Second beside: the same command again while the first runs (both programs set SO_REUSEPORT), SIGTERM to the first %v later. Strata: `serve --takeover`. Held sockets: stopped and started, with sockets and connections kept as systemd keeps them (e2e/holder).", besideFor),
		"The gap is the longest time in which a client that asks every 2 ms over UDP got no answer.")
	t.run.Commands = set.commands(load, stream) // a second longer where a second process is beside
	err = t.rounds(ctx, Seat{Origin: origin, Upstream: behind.Seat.Port}, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, replaceNames-1, time.Minute); err != nil {
			return err
		}
		if err := s.quit(); err != nil {
			return err
		}
		for _, part := range []struct {
			name string
			load Load
		}{{replacedUDP, load}, {replacedTCP, stream}} {
			way := wayOf(c.Name)
			part.load.Seconds = way.seconds()
			sample, err := set.replace(ctx, s, way, part.load)
			if err != nil {
				return err
			}
			t.add(sample, part.name, c, round)
		}
		return nil
	})
	return t.run, err
}

func wayOf(name string) way {
	for _, r := range replaced {
		if r.Name == name {
			return r.way
		}
	}
	return stopStart
}

// A replacing is a server that is replaced again and again.
type replacing struct {
	way     way
	current *Server
	holder  *holder.Holder
}

// replace measures one load over all replacements. s has ended already: it is the
// model of those that are started.
func (set Setting) replace(ctx context.Context, s *Server, w way, load Load) (sample Sample, err error) {
	r := &replacing{way: w, current: s}
	if w == held {
		if r.holder, err = holder.Open(ctx, fmt.Sprintf("127.0.0.1:%d", s.Seat.Port), 1); err != nil {
			return sample, err
		}
		defer r.holder.Close()
	}
	if r.current, err = r.start(); err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, r.current.quit()) }()
	if _, err := r.current.ready(ctx, replaceNames-1, time.Minute); err != nil {
		return sample, err
	}
	warm := load
	warm.Seconds, warm.Outstanding, warm.Stream = 0, 20, false
	if _, err := warm.run(ctx, s.Seat.Port, set.LoadCPU); err != nil {
		return sample, err
	}
	gaps, err := watchGaps(s.Seat.Port)
	if err != nil {
		return sample, err
	}
	type result struct {
		o   Outcome
		err error
	}
	loaded := make(chan result, 1)
	go func() {
		o, err := load.run(ctx, s.Seat.Port, set.LoadCPU)
		loaded <- result{o, err}
	}()
	for range replacements {
		time.Sleep(replacePace)
		if err = r.step(ctx); err != nil {
			break
		}
	}
	got := <-loaded
	gap := gaps.stop()
	return Sample{
		QPS: got.o.QPS, Completed: got.o.Completed, Lost: got.o.Lost, Seconds: got.o.Seconds, Mean: got.o.Mean,
		RCodes: got.o.RCodes, LoadCPU: got.o.CPU, Gap: gap, Reconnects: got.o.Reconnects,
	}, errors.Join(err, got.err)
}

// start starts the program once more.
func (r *replacing) start(args ...string) (*Server, error) {
	if r.holder == nil {
		return r.current.again(func(*exec.Cmd) {}, args...)
	}
	return r.current.again(r.holder.Equip, args...)
}

// step replaces the server once.
func (r *replacing) step(ctx context.Context) error {
	old := r.current
	if r.way == stopStart || r.way == held {
		if err := old.quit(); err != nil {
			return err
		}
	}
	var args []string
	if r.way == takeOver {
		args = []string{"--takeover"}
	}
	next, err := r.start(args...)
	if err != nil {
		return err
	}
	r.current = next
	switch r.way {
	case takeOver:
		select {
		case <-old.ended:
		case <-time.After(20 * time.Second):
			return errors.Join(errors.New("replace: the first one did not end: "+next.tail()), old.quit())
		}
	case beside:
		time.Sleep(besideFor)
		if err := old.quit(); err != nil {
			return err
		}
	}
	_, err = next.ready(ctx, replaceNames-1, time.Minute)
	return err
}

// gaps is a client that asks all the while.
type gaps struct {
	conn    net.Conn
	longest chan time.Duration
}

// watchGaps begins to ask for the first name, every 2 ms.
func watchGaps(port int) (*gaps, error) {
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("watch for gaps: %w", err)
	}
	query, err := new(dns.Msg).SetQuestion(hostName(0)+"."+origin+".", dns.TypeA).Pack()
	if err != nil {
		return nil, fmt.Errorf("watch for gaps: %w", err)
	}
	g := &gaps{conn: conn, longest: make(chan time.Duration, 1)}
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := conn.Write(query); errors.Is(err, net.ErrClosed) { // others: nobody listens
				return
			}
		}
	}()
	go g.listen()
	return g, nil
}

func (g *gaps) listen() {
	var longest time.Duration
	last := time.Now()
	buffer := make([]byte, 512)
	for {
		_, err := g.conn.Read(buffer)
		if errors.Is(err, net.ErrClosed) {
			g.longest <- longest
			return
		}
		if err == nil {
			now := time.Now()
			longest = max(longest, now.Sub(last))
			last = now
		}
	}
}

// stop returns the longest time without an answer.
func (g *gaps) stop() time.Duration {
	g.conn.Close()
	return <-g.longest
}

// restarts is the table of a load over which the server was replaced: counts and
// gaps are those of the worst round.
func (p *printer) restarts(run *Run, load string) {
	p.head("server", "answered", "lost", "no NOERROR", "reconnections", "longest gap ms")
	for _, e := range run.Entries {
		var answered, lost, other, reconnects int64
		var gap time.Duration
		for _, s := range run.Samples {
			if s.Load != load || s.Contender != e.Name {
				continue
			}
			answered = max(answered, s.Completed)
			lost = max(lost, s.Lost)
			other = max(other, s.Completed-s.RCodes["NOERROR"])
			reconnects = max(reconnects, s.Reconnects)
			gap = max(gap, s.Gap)
		}
		if answered > 0 {
			p.row(e.Name, fmt.Sprint(answered), fmt.Sprint(lost), fmt.Sprint(other), fmt.Sprint(reconnects),
				fmt.Sprintf("%.0f", float64(gap)/float64(time.Millisecond)))
		}
	}
	p.line("")
}
