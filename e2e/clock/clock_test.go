package clock

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// teller has this program tell the time instead of running tests.
const teller = "STRATA_CLOCK_TELLER"

func TestMain(m *testing.M) {
	if os.Getenv(teller) != "" {
		tell()
		return
	}
	os.Exit(m.Run())
}

// tell answers each line with the wall clock, as several threads have it at once and as
// gettimeofday says, and with how long the process runs by the monotonic clock.
func tell() {
	began := time.Now()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var most, least time.Time
		var mu sync.Mutex
		var threads sync.WaitGroup
		for range 8 {
			threads.Go(func() {
				for range 10 {
					now := time.Now().Round(0)
					mu.Lock()
					if most.IsZero() || now.After(most) {
						most = now
					}
					if least.IsZero() || now.Before(least) {
						least = now
					}
					mu.Unlock()
				}
			})
		}
		threads.Wait()
		var moment syscall.Timeval
		_ = syscall.Gettimeofday(&moment) // it fails for a bad address only
		fmt.Println(least.UnixNano(), most.UnixNano(), moment.Nano(), int64(time.Since(began)))
	}
}

// running makes a clock and a process that tells the time by it; ask gives least, most
// and gettimeofday, and how long it runs.
func running(t *testing.T) (*Clock, func() (least, most, moment time.Time, runs time.Duration)) {
	t.Helper()
	c, err := New()
	if errors.Is(err, ErrRefused) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), teller+"=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := c.Launch(cmd); errors.Is(err, ErrRefused) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process ended with %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	return c, func() (least, most, moment time.Time, runs time.Duration) {
		t.Helper()
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var ns [3]int64
		if _, err := fmt.Sscan(line, &ns[0], &ns[1], &ns[2], &runs); err != nil {
			// A Duration is scanned as a number.
			t.Fatalf("%q: %v", strings.TrimSpace(line), err)
		}
		return time.Unix(0, ns[0]), time.Unix(0, ns[1]), time.Unix(0, ns[2]), runs
	}
}

// Every thread sees the clock as it is set, at once; nobody sees it of the monotonic
// clock, nor outside the process.
func TestSteps(t *testing.T) {
	began := time.Now()
	c, ask := running(t)
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour, 10 * 365 * 24 * time.Hour, 0} {
		c.Set(ahead)
		readings, before, outside := c.Readings(), c.Now(), time.Now()
		least, most, moment, runs := ask()
		after := c.Now()
		// Clocks have steps of their own: a microsecond, of gettimeofday.
		if least.Before(before) || most.After(after) || moment.Before(before.Add(-time.Microsecond)) || moment.After(after) {
			t.Errorf("%s ahead: between %s and %s it is %s to %s, %s", ahead, before, after, least, most, moment)
		}
		if runs < 0 || runs > time.Since(began) {
			t.Errorf("%s ahead: it runs for %s, and the test for %s", ahead, runs, time.Since(began))
		}
		if n := c.Readings() - readings; n < 81 {
			t.Errorf("it asked %d times: its time is not all from here", n)
		}
		if passed := time.Now().Round(0).Sub(outside.Round(0)); passed < 0 || passed > time.Minute {
			t.Errorf("out here %s passed", passed)
		}
	}
}

// vector is a stack of words.
func vector(words ...uint64) (b []byte) {
	for _, w := range words {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return b
}

func TestFindVDSO(t *testing.T) {
	for _, c := range []struct {
		name  string
		stack []byte
		want  int // -2: an error
	}{
		{"behind another", vector(1, 0x100, 0, 0x200, 0x300, 0, 6, 4096, auxVDSO, 0x7000, 0, 0), 8 * word},
		{"no environment", vector(2, 0x100, 0x180, 0, 0, auxVDSO, 0x7000, 0, 0), 5 * word},
		{"its number as a value", vector(0, 0, 0, 6, auxVDSO, 0, 0), -1},
		{"none", vector(1, 0x100, 0, 0, 6, 4096, 0, 0), -1},
		{"no end", vector(1, 0x100, 0, 0, 6, 4096), -2},
		{"no environment's end", vector(1, 0x100, 0, 5), -2},
		{"too many arguments", vector(1<<63, 0, 0, 0, 0), -2},
		{"no whole word", []byte{1, 0, 0}, -2},
		{"empty", nil, -2},
	} {
		got, err := findVDSO(c.stack)
		if err != nil {
			got = -2
		}
		if got != c.want {
			t.Errorf("%s: %d, %v, want %d", c.name, got, err, c.want)
		}
	}
}

func FuzzFindVDSO(f *testing.F) {
	f.Add(vector(1, 0x100, 0, 0x200, 0x300, 0, 6, 4096, auxVDSO, 0x7000, 0, 0))
	f.Add(vector(2, 0x100, 0x180, 0, 0, 0, 0))
	f.Add(vector(1<<63, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, stack []byte) {
		at, err := findVDSO(stack)
		if err == nil && at >= 0 && binary.NativeEndian.Uint64(stack[at:]) != auxVDSO {
			t.Errorf("at %d there is %d", at, binary.NativeEndian.Uint64(stack[at:]))
		}
	})
}
