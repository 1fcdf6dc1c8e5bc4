package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/strata-dns/strata/e2e/stack"
)

// A tour is a walk through a running stack.
type tour struct {
	*page
	stack *stack.Stack
	bin   string // as it was given, for the commands that are shown
	step  int
	wrong int
}

// overview shows what runs.
func (t *tour) overview(took time.Duration) {
	t.text("%d processes are up after %.1f s, in %s:\n", len(t.stack.Servers()), took.Seconds(), t.stack.Dir)
	s := t.stack
	for _, line := range []struct {
		*stack.Server
		about string
	}{
		{s.Nodecache, "the cache of a host in dc1: programs ask it"},
		{s.Recursors[0], "the resolver of site dc1: nodecache asks it"},
		{s.Recursors[1], "the same in dc2"},
		{s.Authoritatives[0], "our own zones from etcd, whose member runs in it"},
		{s.Authoritatives[1], "the same zones from the same etcd"},
		{s.External[0], "unbound: dc1 asks it for all other names"},
		{s.External[1], "the same in dc2"},
		{s.World, "stands for the internet: nothing leaves this machine"},
	} {
		t.text("  %-16s %-16s %s", line.Name, line.Address, line.about)
	}
}

// chapter begins a part of the tour.
func (t *tour) chapter(title string) { t.text("\n%s", t.in(bold, "── "+title+" ──")) }

// begin begins a step.
func (t *tour) begin(format string, args ...any) {
	t.step++
	t.text("\n%2d. %s", t.step, fmt.Sprintf(format, args...))
}

// command shows a program used as it could be typed; ours without their folder.
func (t *tour) command(program string, args ...string) {
	if !filepath.IsAbs(program) {
		program = filepath.Join(t.bin, program)
	}
	for i, arg := range args {
		if strings.ContainsAny(arg, " *'\"") {
			args[i] = "'" + arg + "'"
		}
	}
	t.wrap(blue, "$ "+program+" "+strings.Join(args, " "), ` \`)
}

// fail marks the step as wrong.
func (t *tour) fail(format string, args ...any) {
	t.wrong++
	t.indented(red, "WRONG: "+fmt.Sprintf(format, args...))
}

// see asks a question, shows what came, and holds it against what should.
func (t *tour) see(ctx context.Context, q question, w want) {
	if ctx.Err() != nil {
		return
	}
	t.command("nodecache", q.arguments()...)
	r, err := t.ask(ctx, q)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		t.fail("%v", err)
		return
	}
	t.show(r)
	if why := w.wrong(r); why != "" {
		t.fail("%s", why)
	}
}

// seeSoon asks until the reply is as it should be, half a minute at most, each time
// the question for the number of the try. The last is shown.
func (t *tour) seeSoon(ctx context.Context, q func(try int) question, w want) {
	began := time.Now()
	for try := 1; ; try++ {
		r, err := t.ask(ctx, q(try))
		took := time.Since(began)
		if ctx.Err() != nil {
			return
		}
		right := err == nil && w.wrong(r) == ""
		if !right && took < 30*time.Second {
			continue
		}
		t.command("nodecache", q(try).arguments()...)
		switch {
		case err != nil:
			t.fail("%v", err)
		case !right:
			t.show(r)
			t.fail("after %.1f s still: %s", took.Seconds(), w.wrong(r))
		default:
			t.show(r)
			t.text("    (the first such answer, %.1f s later)", took.Seconds())
		}
		return
	}
}

func (t *tour) show(r reply) {
	for _, record := range r.answer {
		t.indented("", record)
	}
	for _, record := range r.authority {
		t.indented("", record+"  ; authority")
	}
	t.text("    %s in %s, by %s", t.in(green, r.rcode), r.took, t.in(bold, r.way))
}

// verdict closes the tour.
func (t *tour) verdict(took time.Duration) {
	result := t.in(green, "all as they should be")
	if t.wrong > 0 {
		result = t.in(red, fmt.Sprintf("%d WRONG", t.wrong))
	}
	t.text("\n%d steps, %s, %.1f s in all.", t.step, result, took.Seconds())
}

// stay shows what to try, and waits to be interrupted.
func (t *tour) stay(ctx context.Context) {
	s := t.stack
	node := s.Authoritatives[0]
	t.text("\n%s", t.in(bold, "The stack stays up until Ctrl-C. To try:"))
	for _, line := range []string{
		"dig @127.0.0.1 -p " + port(s.Nodecache) + " www.prd.example.com",
		t.bin + "/nodecache lookup portal.prd.example.com --server " + s.Nodecache.Address,
		t.bin + "/nodecache ctl dump --config " + s.Nodecache.Config,
		t.bin + "/recursor ctl status --config " + s.Recursors[0].Config,
		t.bin + "/authoritative records list prd.example.com --config " + node.Config,
		t.bin + "/authoritative records add me.prd.example.com A 10.9.9.9 --config " + node.Config,
	} {
		t.wrap(blue, line, ` \`)
	}
	t.text("\nPages (also /status, /metrics, /readyz), and configs (taken up anew by ctl reload):")
	for _, server := range s.Servers() {
		if server.Admin != "" {
			t.text("  %-16s http://%-17s %s", server.Name, server.Admin, server.Config)
		}
	}
	<-ctx.Done()
	t.text("\nStopping all processes, and removing %s …", s.Dir)
}

func port(s *stack.Server) string {
	_, port, _ := strings.Cut(s.Address, ":")
	return port
}
