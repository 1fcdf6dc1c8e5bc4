// Tour starts the whole stack on loopback and walks a newcomer through it: each
// step shows a question as one would type it, which layer answered, the answer
// and the time, and checks that it is right. Everything shown was observed: the
// commands are run, and who answered is read from the servers' own counters.
//
//	make run             stays up afterwards, until Ctrl-C
//	make run TOUR=only   ends after the tour; status 1 if a step was wrong
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/e2e/stack"
)

func main() {
	bin := flag.String("bin", "bin", "the `folder` of the three binaries")
	only := flag.Bool("only", false, "end after the tour, with status 1 if a step was wrong")
	flag.Parse()
	if err := dieWithParent(); err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
	endings := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1)
		endings = append(endings, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endings...)
	defer stop()
	ok, err := run(ctx, *bin, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// dieWithParent has the kernel send SIGTERM when make, or `go run`, which passes
// no signal on, is gone.
func dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("follow the parent process: %w", err)
	}
	return nil
}

// run takes the tour. ok is false when a step was wrong.
func run(ctx context.Context, bin string, only bool) (ok bool, err error) {
	began := time.Now()
	out := newPage(os.Stdout)
	out.text("Starting a whole stack on loopback: three layers, two sites, and a small internet …")
	s, err := stack.Start(ctx, stack.Options{Bin: bin})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t := &tour{stack: s, bin: bin, page: out}
	t.overview(time.Since(began))
	t.steps(ctx)
	if ctx.Err() != nil {
		out.text("\nInterrupted: stopping all processes …")
		return true, nil
	}
	t.verdict(time.Since(began))
	if t.wrong > 0 {
		s.WriteLogs(os.Stderr, 15)
	}
	if !only {
		t.stay(ctx)
	}
	return t.wrong == 0, nil
}
