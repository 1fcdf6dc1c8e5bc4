package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// A Server is one running contender.
type Server struct {
	Command string // as started, for the report
	Seat    Seat
	args    []string // of taskset
	env     []string
	cmd     *exec.Cmd
	cpu     int
	log     string
	ended   chan struct{} // closed once the process is gone
}

// start runs the contender pinned to one CPU, in a directory of its own below
// work. It returns at once; ready tells when it answers.
func start(c Contender, path, work string, cpu int, seat Seat) (*Server, error) {
	dir, err := os.MkdirTemp(work, strings.ToLower(strings.ReplaceAll(c.Name, " ", "-"))+"-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	seat.Dir = dir
	if seat.Port, err = freePort(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	if seat.Admin, err = freePort(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	args, err := c.settle(seat)
	if err != nil {
		return nil, err
	}
	where := strconv.Itoa(cpu)
	if cpu == everyCPU {
		where = fmt.Sprintf("0-%d", runtime.NumCPU()-1)
	}
	if seat.Namespace != "" {
		args = append([]string{"ip", "netns", "exec", seat.Namespace, path}, args...)
	} else {
		args = append([]string{path}, args...)
	}
	args = append([]string{"-c", where}, args...)
	s := &Server{Seat: seat, args: args, env: append(os.Environ(), c.Env...), cmd: exec.Command("taskset", args...), cpu: cpu,
		log: filepath.Join(dir, "output"), ended: make(chan struct{})}
	s.Command = strings.Join(slices.Concat(c.Env, []string{"taskset"}, args), " ")
	s.cmd.Env = s.env
	if err := s.begin(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return s, nil
}

// again starts the same program on the same seat, with further arguments, after the
// command has been changed by change.
func (s *Server) again(change func(*exec.Cmd), args ...string) (*Server, error) {
	next := &Server{Command: s.Command, Seat: s.Seat, args: s.args, env: s.env, cpu: s.cpu, log: s.log, ended: make(chan struct{})}
	next.cmd = exec.Command("taskset", slices.Concat(s.args, args)...)
	next.cmd.Env = s.env
	change(next.cmd)
	if err := next.begin(); err != nil {
		return nil, fmt.Errorf("start again: %w", err)
	}
	return next, nil
}

// begin starts the process.
func (s *Server) begin() error {
	out, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the child has its own copy
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = out, out, s.Seat.Dir
	// A group of its own: Ctrl-C reaches this program alone, which then stops
	// its servers one by one; and should it be killed, the kernel kills them.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is told by its output
		close(s.ended)
	}()
	return nil
}

func (s *Server) pid() int { return s.cmd.Process.Pid }

// quit ends the process as an operator does, and waits for it.
func (s *Server) quit() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		return nil
	case <-time.After(15 * time.Second):
		return errors.New("end the process: it goes on 15 s after SIGTERM: " + s.tail())
	}
}

// stop ends the process and its children, asking first, and removes its files.
// It is safe to call twice.
func (s *Server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
	}
	// Also after a clean end: a child may have outlived its parent.
	_ = syscall.Kill(-s.pid(), syscall.SIGKILL)
	<-s.ended
	_ = os.RemoveAll(s.Seat.Dir)
}

// ready is readyFor a host of the zone.
func (s *Server) ready(ctx context.Context, host int, patience time.Duration) (time.Time, error) {
	return s.readyFor(ctx, hostName(host)+"."+origin+".", address(host), patience)
}

// readyFor asks for the name until the right address comes back, returns the
// moment it did, and pins what threads there are by then. patience bounds the
// wait.
func (s *Server) readyFor(ctx context.Context, name, want string, patience time.Duration) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	question := new(dns.Msg).SetQuestion(name, dns.TypeA)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		reply, err := s.try(ctx, question, 100*time.Millisecond)
		if err == nil && carries(reply, want) {
			return time.Now(), pin(s.pid(), s.cpu)
		}
		select {
		case <-s.ended:
			return time.Time{}, errors.New("wait for an answer: the process ended: " + s.tail())
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("wait for an answer: %w: %s", ctx.Err(), s.tail())
		case <-again.C:
		}
	}
}

// exchange asks the server once.
func (s *Server) exchange(ctx context.Context, question *dns.Msg) (*dns.Msg, error) {
	return s.try(ctx, question, 5*time.Second)
}

// try asks once, from the server's namespace.
func (s *Server) try(ctx context.Context, question *dns.Msg, patience time.Duration) (*dns.Msg, error) {
	conn, err := dialerIn(s.Seat.Namespace)(ctx, "udp", net.JoinHostPort(cmp.Or(s.Seat.Address, "127.0.0.1"), strconv.Itoa(s.Seat.Port)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	client := dns.Client{Timeout: patience}
	reply, _, err := client.ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn})
	return reply, err
}

func carries(reply *dns.Msg, want string) bool {
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok && a.A.String() == want {
			return true
		}
	}
	return false
}

// readyPatience is how long a server of the usual zone may take.
const readyPatience = time.Minute

// tail is the end of what the process printed, on one line.
func (s *Server) tail() string {
	data, err := os.ReadFile(s.log)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return "no output"
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// ports are all that were given out: none is given twice.
var ports stack.Ports

// freePort finds a port that is free for both UDP and TCP.
func freePort() (int, error) { return ports.Take() }
