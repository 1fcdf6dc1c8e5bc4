package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Sites are the two sites of a stack.
var Sites = [2]string{"dc1", "dc2"}

// A Stack is the running whole. Its servers may be stopped, killed, frozen and
// started again one by one.
type Stack struct {
	Dir string // configs, zone files, logs, sockets, data; removed by Close
	Bin string // where nodecache, recursor and authoritative are; absolute

	World          *Server    // an authoritative with the zones of "the internet"
	External       [2]*Server // unbound, one for each of Sites
	Authoritatives [2]*Server // the first has the etcd member
	Recursors      [2]*Server // one for each of Sites
	Nodecache      *Server    // in the first site

	extra  []*Server
	shared role // what all configs may refer to
	ports  Ports
	closed sync.Once
	err    error // of Close
}

// A Server is one process of a stack and where to reach it.
type Server struct {
	Process
	Kind    Kind
	Address string // host:port that answers queries
	Admin   string // host:port of the pages, "" for unbound
	Control string // the control socket's path
	Config  string // the config file's path
}

// A Kind says what a server is.
type Kind int

// The kinds of servers, as a question meets them.
const (
	Nodecache Kind = iota
	Recursor
	Authoritative
	External
	World
)

// Options say what to start.
type Options struct {
	Bin string // the folder of the three binaries
	Parts
}

// Parts of the stack.
type Parts int

// What can be started. Nothing is for [Stack.Extra] servers alone.
const (
	Whole Parts = iota
	AuthoritativesOnly
	Nothing
)

// Start starts a stack and waits until all of it is ready and the example records
// are loaded. The end of ctx closes it, as Close does. Errors name the process
// that was the reason and end with what it wrote.
func Start(ctx context.Context, o Options) (*Stack, error) {
	bin, err := filepath.Abs(o.Bin)
	if err != nil {
		return nil, fmt.Errorf("start stack: %w", err)
	}
	dir, err := os.MkdirTemp("", "strata-")
	if err != nil {
		return nil, fmt.Errorf("start stack: %w", err)
	}
	s := &Stack{Dir: dir, Bin: bin}
	if err := s.start(ctx, o); err != nil {
		err = fmt.Errorf("start stack: %w", err)
		return nil, errors.Join(err, s.Close())
	}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

func (s *Stack) start(ctx context.Context, o Options) error {
	if err := s.lay(o); err != nil {
		return err
	}
	// Resolvers start when those they ask are there: a recursor whose first checks
	// fail swings to the other site.
	first := slices.DeleteFunc(s.Servers(), func(s *Server) bool { return s.Kind < Authoritative })
	last := slices.DeleteFunc(s.Servers(), func(s *Server) bool { return s.Kind >= Authoritative })
	for _, together := range [][]*Server{first, last} {
		if err := s.startAll(ctx, together); err != nil {
			return err
		}
	}
	if o.Parts == Nothing {
		return nil
	}
	return s.loadRecords(ctx)
}

func (s *Stack) startAll(ctx context.Context, servers []*Server) error {
	for _, server := range servers {
		if err := server.Start(); err != nil {
			return err
		}
	}
	for _, server := range servers {
		if err := s.Ready(ctx, server); err != nil {
			return err
		}
	}
	return nil
}

// loadRecords imports the example records, each zone at another node in turn.
func (s *Stack) loadRecords(ctx context.Context) error {
	for i, zone := range []string{"prd.example.com", "10.in-addr.arpa", "cluster.local"} {
		_, err := s.RecordsAgain(ctx, s.Authoritatives[i%2], "import", filepath.Join(s.Dir, zone+".zone"), "--zone", zone)
		if err != nil {
			return err
		}
	}
	return nil
}

// Records runs `authoritative records …` with the config of a node.
func (s *Stack) Records(ctx context.Context, node *Server, args ...string) (output string, err error) {
	args = append([]string{"records"}, args...)
	return s.Run(ctx, "authoritative", append(args, "--config", node.Config)...)
}

// etcdAway is what commands say when etcd does not answer in time, and that one may ask again.
const etcdAway = "etcd has no leader or did not answer within"

// RecordsAgain is Records where etcd is there: on a machine that is busy it may not answer in
// time, and then the command is run again, for a minute. What was done before its answer
// was missed is no error the second time.
func (s *Stack) RecordsAgain(ctx context.Context, node *Server, args ...string) (output string, err error) {
	missed := false
	for limit := time.Now().Add(time.Minute); ; missed = true {
		output, err = s.Records(ctx, node, args...)
		switch {
		case err == nil:
			return output, nil
		case missed && strings.Contains(err.Error(), "holds no such record"): // it has been removed
			return "", nil
		case !strings.Contains(err.Error(), etcdAway) || time.Now().After(limit):
			return "", err
		}
	}
}

// Servers are all processes of the stack, in the order that a question meets them.
func (s *Stack) Servers() (all []*Server) {
	candidates := slices.Concat([]*Server{s.Nodecache}, s.Recursors[:], s.Authoritatives[:], s.External[:], []*Server{s.World}, s.extra)
	for _, server := range candidates {
		if server != nil {
			all = append(all, server)
		}
	}
	return all
}

// Close ends all processes, each by its ID, and removes the folder. It can be
// called again. The error tells of processes that had to be killed, that ended
// with another exit status than 0, or died before.
func (s *Stack) Close() error {
	s.closed.Do(func() {
		servers := s.Servers()
		errs := make([]error, len(servers))
		var wait sync.WaitGroup
		for i, server := range servers {
			wait.Go(func() { errs[i] = server.Stop() })
		}
		wait.Wait()
		s.ports.Release()
		s.err = errors.Join(append(errs, os.RemoveAll(s.Dir))...)
	})
	return s.err
}

// WriteLogs writes the end of each process's log, without the questions that
// external resolvers note.
func (s *Stack) WriteLogs(w io.Writer, lines int) {
	for _, server := range s.Servers() {
		fmt.Fprintf(w, "--- %s (%s)\n%s", server.Name, strings.Join(server.Args, " "), server.Tail(lines))
	}
}

// Tail is the end of the log.
func (p *Process) Tail(lines int) string {
	all := slices.DeleteFunc(strings.SplitAfter(p.Log(), "\n"), func(line string) bool {
		return strings.Contains(line, " info: 127.0.0.1 ")
	})
	return strings.Join(all[max(0, len(all)-lines-1):], "")
}

// Loopback is an address for a port.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
