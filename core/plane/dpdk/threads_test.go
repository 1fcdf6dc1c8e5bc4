//go:build dpdk

package dpdk

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// yielding lets others have their turn in each batch, as Go's scheduler would have it after 10
// ms, and counts how often its thread had to wait for another one to go on.
type yielding struct {
	shout
	all, waited int
}

const yields = 10 // in a batch

func (y *yielding) Answer(batch []plane.Packet, late plane.Queue) {
	y.shout.Answer(batch, late)
	for range yields {
		thread, waits := unix.Gettid(), ownWaits()
		runtime.Gosched()
		if y.all++; unix.Gettid() != thread || ownWaits() != waits {
			y.waited++
		}
	}
}

// ownWaits is how often the calling thread has given up its CPU by itself.
func ownWaits() int64 {
	var of unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &of) != nil {
		return 0
	}
	return of.Nvcsw
}

// TestTurns: an lcore whose turn is over goes on by itself. It would depend on how busy the
// other CPUs are, did another thread have to hand the turn back.
func TestTurns(t *testing.T) {
	clients := needInside(t)
	t.Setenv(yieldKey, "1")
	p := startIdle(t, "poll", lastCPU(), "--vdev=net_af_packet0,iface="+portName)
	c := dial(t, clients, service4.Addr())
	defer c.Close()
	for range 200 {
		asks(t, c, "who has it")
	}
	said := p.end(t)
	var all, waited int
	at := strings.Index(said, "yielded ")
	if at < 0 {
		t.Fatal(said)
	}
	if _, err := fmt.Sscanf(said[at:], "yielded %d waited %d", &all, &waited); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d turns, %d waits", all, waited)
	if all < 200*yields || waited > all/2 {
		t.Errorf("waited %d times in %d turns", waited, all)
	}
}

// TestTakeOver: the thread that polls is on the lcore, and the one before it is not any more;
// nor are those it has made.
func TestTakeOver(t *testing.T) {
	needInside(t)
	if runtime.NumCPU() < 2 {
		t.Skip("needs two CPUs")
	}
	q := newTestQueue(t, 0)
	defer q.end()
	lcore := runtime.NumCPU() - 1
	all, before, err := keepOff([]int{lcore})
	if err != nil {
		t.Fatal(err)
	}
	defer moveAll(&before)
	q.lcore, q.threads = lcore, all
	var own unix.CPUSet
	own.Set(lcore)
	on := func(id int, want *unix.CPUSet) {
		t.Helper()
		var is unix.CPUSet
		if err := unix.SchedGetaffinity(id, &is); err != nil || is != *want {
			t.Errorf("thread %d is on CPUs %s, want %s: %v", id, list(&is), list(want), err)
		}
	}
	// Each on a thread of its own, which stays for as long as the test.
	stay, ids := make(chan struct{}), make(chan int)
	defer close(stay)
	poll := func(f func()) int {
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with it
			f()
			ids <- unix.Gettid()
			<-stay
		}()
		return <-ids
	}
	first := poll(func() {
		if err := all.begin(lcore, q.c); err != nil {
			t.Error(err)
		}
		q.poll(0)
	})
	on(first, &own)
	unsignalled(t, first, true)
	second := poll(func() { q.poll(0) })
	on(second, &own)
	on(first, &all.home)
	unsignalled(t, second, true)
	unsignalled(t, first, false)
	stray := poll(func() {
		if err := pin(lcore); err != nil {
			t.Error(err)
		}
	})
	resting, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); all.keep(resting) }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var is unix.CPUSet
		if unix.SchedGetaffinity(stray, &is) == nil && is == all.home {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a thread stays on the lcore that does not poll")
		}
	}
	close(resting)
	<-ended
	on(second, &own)
	all.end(lcore, q.c)
	on(second, &all.home)
	unsignalled(t, second, false)
}

// unsignalled checks whether the scheduler's signals do not reach a thread. One that is to
// take them again is told so by a signal, too.
func unsignalled(t *testing.T, id int, want bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		blocked, err := blockedSignals(id)
		if err != nil {
			t.Fatal(err)
		}
		if blocked&(1<<(unix.SIGURG-1)) != 0 == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("thread %d blocks signals %#x; SIGURG should be one of them: %v", id, blocked, want)
		}
	}
}

// blockedSignals are those of a thread of this process, signal 1 in the lowest bit.
func blockedSignals(id int) (set uint64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", id))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), "SigBlk:")
	if !ok {
		return 0, fmt.Errorf("thread %d: no blocked signals in %q", id, text)
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseUint(strings.TrimSpace(line), 16, 64)
}
