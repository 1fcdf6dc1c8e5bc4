//go:build dpdk

package dpdk

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane/frame"
)

// peerKey has this program be who asks over shared memory until it is killed: the
// socket's path.
const peerKey = "STRATA_DPDK_PEER"

// peer asks as often as can be, and says when there is an answer.
func peer() int {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	raw, err := OpenRaw(RawOptions{Lcore: 0, Queues: 1, Log: slog.New(slog.DiscardHandler),
		EAL: []string{"--no-pci", "--no-huge", "--vdev=net_memif0,role=client,socket-abstract=no,mac=" + mac.String() + ",socket=" + os.Getenv(peerKey)}})
	if err == nil {
		err = raw.Bind()
	}
	way, send, said := wayTo(mac), 0, false
	for err == nil {
		for i := range send {
			raw.Filled(i, frame.Restore(&way, []byte("is anybody there"), raw.Frame(i)))
		}
		received := 0
		_, received, err = raw.Exchange(send)
		if send = RawBurst; received > 0 && !said {
			said = true
			fmt.Println("answered")
		}
	}
	fmt.Println(err)
	return 1
}

// meet starts a peer, and returns once it has been answered.
func meet(t *testing.T, socket string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), peerKey+"="+socket)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	slow := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
	defer slow.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "answered\n" {
		c.Process.Kill()
		c.Wait()
		t.Fatalf("the peer says %q: %v", line, err)
	}
	return c
}

func kill(c *exec.Cmd) {
	c.Process.Kill()
	c.Wait()
}

// serveMemif runs a plane that polls without a rest, and is asked over shared memory.
func serveMemif(t *testing.T) (p *process, socket string) {
	t.Helper()
	needInside(t)
	socket = filepath.Join(t.TempDir(), "memif")
	return startIdle(t, "poll", lastCPU(), "--no-huge", "--vdev=net_memif0,role=server,socket-abstract=no,mac="+memifMAC.String()+",socket="+socket), socket
}

// Peers that are killed while they ask as fast as can be leave a plane that answers
// the next.
func TestPeersVanish(t *testing.T) {
	p, socket := serveMemif(t)
	times := 30
	if text := os.Getenv("STRATA_DPDK_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		times = n
	} else if testing.Short() {
		times = 5
	}
	for range times {
		kill(meet(t, socket))
	}
	p.end(t)
}

// Who connects and is gone before a word was said leaves a plane that answers the next.
func TestPeersTurnAway(t *testing.T) {
	p, socket := serveMemif(t)
	for all, until := 0, time.Now().Add(time.Minute); all < 100; {
		switch c, err := net.Dial("unixpacket", socket); {
		case err == nil:
			c.Close()
			all++
		case !errors.Is(err, unix.EAGAIN) || time.Now().After(until): // those before it are to be taken first
			t.Fatal(err)
		}
	}
	kill(meet(t, socket))
	p.end(t)
}

// What a peer has shared stays mapped while an lcore is inside of the driver, however long
// that is after the peer has gone: the lcore is held there. Then it is unmapped, and the
// next peer is answered.
func TestVanishedInside(t *testing.T) {
	p, socket := serveMemif(t)
	runtime.LockOSThread() // whoever holds a thread must be one itself
	defer runtime.UnlockOSThread()
	other := meet(t, socket)
	defer kill(other)
	held := holdInside(t, p.Process.Pid)
	released := false
	release := func() {
		if !released {
			released = true
			if err := unix.PtraceDetach(held); err != nil {
				t.Error(err)
			}
		}
	}
	defer release()
	kill(other)
	waiting := false
	for deadline := time.Now().Add(time.Minute); !waiting; time.Sleep(time.Millisecond) {
		if !shares(t, p.Process.Pid) {
			t.Fatal("the rings were unmapped while an lcore was inside of the driver")
		}
		if time.Now().After(deadline) {
			t.Fatal("after a minute DPDK's thread of interrupts waits for nobody")
		}
		waiting = waits(t, p.Process.Pid)
	}
	if !shares(t, p.Process.Pid) {
		t.Fatal("the rings were unmapped while somebody waited for the lcore")
	}
	release()
	for deadline := time.Now().Add(time.Minute); shares(t, p.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the rings of who has gone are still mapped")
		}
	}
	kill(meet(t, socket))
	p.end(t)
}

// holdInside stops the polling thread of a process within the driver's own code.
func holdInside(t *testing.T, pid int) (held int) {
	t.Helper()
	begin, end := driverAt(t, pid)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		for _, id := range polling(t, pid) {
			if unix.PtraceAttach(id) != nil {
				continue // it has ended
			}
			var status unix.WaitStatus
			var regs unix.PtraceRegs
			if _, err := unix.Wait4(id, &status, unix.WALL, nil); err != nil {
				t.Fatal(err)
			}
			if err := unix.PtraceGetRegs(id, &regs); err != nil {
				t.Fatal(err)
			}
			if at := regs.PC(); at >= begin && at < end {
				return id
			}
			if err := unix.PtraceDetach(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("the polling thread was not met in the driver")
	return 0
}

// polling are the threads that may be on the lcore alone.
func polling(t *testing.T, pid int) (ids []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			t.Fatal(err)
		}
		var may unix.CPUSet
		if unix.SchedGetaffinity(id, &may) == nil && list(&may) == lastCPU() {
			ids = append(ids, id)
		}
	}
	return ids
}

// driverAt is where the driver's code is in a process.
func driverAt(t *testing.T, pid int) (begin, end uint64) {
	t.Helper()
	for _, line := range strings.Split(maps(t, pid), "\n") {
		if strings.Contains(line, "librte_net_memif") && strings.Contains(line, " r-xp ") {
			if _, err := fmt.Sscanf(line, "%x-%x", &begin, &end); err != nil {
				t.Fatal(err)
			}
			return begin, end
		}
	}
	t.Skip("DPDK is linked into the program: where its driver is cannot be told")
	return 0, 0
}

func maps(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shares tells whether a process has a peer's memory.
func shares(t *testing.T, pid int) bool {
	t.Helper()
	return strings.Contains(maps(t, pid), "memif_region")
}

// waits tells whether DPDK's thread of interrupts sleeps for a time, and not for what
// happens.
func waits(t *testing.T, pid int) bool {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		name, err := os.ReadFile(filepath.Join(task, "comm"))
		if err != nil || !strings.HasPrefix(string(name), "eal-intr") {
			continue
		}
		call, err := os.ReadFile(filepath.Join(task, "syscall"))
		if err != nil {
			t.Skipf("what a thread waits for cannot be read: %v", err)
		}
		return strings.HasPrefix(string(call), strconv.Itoa(unix.SYS_CLOCK_NANOSLEEP)+" ")
	}
	t.Fatal("no thread of interrupts")
	return false
}
