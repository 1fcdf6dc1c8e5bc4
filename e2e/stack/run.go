package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Failure is a command that ended with another exit status than 0.
type Failure struct {
	Command string
	Status  int    // -1: a signal
	Stderr  string // what it complained about
}

func (f *Failure) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", f.Command, f.Status, strings.TrimSpace(f.Stderr))
}

// Run runs one of the three binaries and returns its standard output. Errors: it
// could not be run, ctx ended (it was killed), or *Failure.
func (s *Stack) Run(ctx context.Context, program string, args ...string) (output string, err error) {
	return Run(ctx, filepath.Join(s.Bin, program), args...)
}

// Run runs any program as [Stack.Run] does: without the variables that change a
// config, and not longer than this process lives.
func Run(ctx context.Context, program string, args ...string) (output string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = environment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := Launch(cmd); err != nil {
		return "", fmt.Errorf("run %s: %w", program, err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return stdout.String(), fmt.Errorf("run %s: %w", program, ctx.Err())
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		command := strings.Join(append([]string{filepath.Base(program)}, args...), " ")
		return stdout.String(), &Failure{command, ended.ExitCode(), stderr.String()}
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w", program, err)
	}
	return stdout.String(), nil
}
