//go:build dpdk

package dpdk

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// The tests run in a network namespace of their own, on one end of a veth pair; the
// other end, in a second namespace, is the clients'. What a process may do once,
// starting DPDK, is done by children of this program, which say what came of it.
const (
	insideKey = "STRATA_DPDK_INSIDE" // the clients' namespace, in that of the tests
	childKey  = "STRATA_DPDK_CHILD"  // arguments of DPDK, one a line
	lcoresKey = "STRATA_DPDK_LCORES"
	idleKey   = "STRATA_DPDK_IDLE"
	churnKey  = "STRATA_DPDK_CHURN" // the child allocates without end
	yieldKey  = "STRATA_DPDK_YIELD" // the child's handler lets others have their turn
	portName  = "dns0"
)

var (
	service4 = netip.MustParsePrefix("10.0.0.53/24")
	service6 = netip.MustParsePrefix("fd53::53/64")
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(peerKey) != "":
		os.Exit(peer())
	case os.Getenv(childKey) != "":
		os.Exit(child())
	case os.Getenv(insideKey) != "":
		code := m.Run()
		os.Remove(memifPath)
		os.Exit(code)
	case os.Getuid() != 0:
		fmt.Println("DPDK's ports need root, to make network namespaces: only what does without is tested")
		os.Exit(m.Run())
	}
	if code, ok := inside(); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// needInside skips a test where there are no namespaces.
func needInside(t *testing.T) (clients string) {
	t.Helper()
	clients = os.Getenv(insideKey)
	if clients == "" {
		t.Skip("needs root and ip, to make network namespaces")
	}
	return clients
}

// inside runs this program again in the namespaces, if they can be made.
func inside() (code int, ok bool) {
	name := "strata-dpdk-" + strconv.Itoa(os.Getpid())
	ours, clients := name+"-s", name+"-c"
	defer ip("netns", "del", ours)
	defer ip("netns", "del", clients)
	for _, args := range []string{
		"netns add " + ours, "netns add " + clients,
		"-n " + ours + " link add " + portName + " type veth peer name eth0 netns " + clients,
		"-n " + ours + " link set lo up", "-n " + ours + " link set " + portName + " up",
		"-n " + clients + " addr add 10.0.0.9/24 dev eth0", "-n " + clients + " addr add fd53::9/64 dev eth0 nodad",
		"-n " + clients + " link set lo up", "-n " + clients + " link set eth0 up",
	} {
		if err := ip(strings.Fields(args)...); err != nil {
			fmt.Println(err)
			return 0, false
		}
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return 1, true
	}
	again := exec.Command("ip", append([]string{"netns", "exec", ours, self}, os.Args[1:]...)...)
	again.Env = append(os.Environ(), insideKey+"="+clients)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	// An interrupt reaches both; this one stays to clean up.
	signal.Ignore(unix.SIGINT)
	if err := again.Run(); err != nil {
		return 1, true
	}
	return 0, true
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// in calls f in the named network namespace.
func in(t *testing.T, namespace string, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in there
		there, err := os.Open(filepath.Join("/var/run/netns", namespace))
		if err == nil {
			defer there.Close()
			err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// shout answers with capital letters.
type shout struct{}

func (shout) Answer(batch []plane.Packet, _ plane.Queue) {
	for i := range batch {
		data := batch[i].Data
		for j, b := range data {
			if 'a' <= b && b <= 'z' {
				data[j] = b - 'a' + 'A'
			}
		}
	}
}

// child runs the plane until it is told to end, and says what it did.
func child() int {
	o := Options{
		EAL: strings.Split(os.Getenv(childKey), "\n"), Addresses: []netip.Prefix{service4, service6}, Port: 53, Room: 1232, Idle: Backoff,
		Handler: func(int) plane.Handler { return shout{} },
		Log:     slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	for _, l := range strings.Split(os.Getenv(lcoresKey), ",") {
		n, err := strconv.Atoi(l)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		o.Lcores = append(o.Lcores, n)
	}
	switch os.Getenv(idleKey) {
	case "poll":
		o.Idle = Poll
	case "interrupt":
		o.Idle = Interrupt
	}
	var y yielding
	if os.Getenv(yieldKey) != "" {
		o.Handler = func(int) plane.Handler { return &y }
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p, err := Open(o)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if os.Getenv(churnKey) != "" {
		go churn(ctx)
	}
	fmt.Println("ready", p)
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	<-told
	last, ports, serving := p.Counts(), p.Ports(), p.Ready()
	stop()
	if err := <-ended; err != nil {
		fmt.Println(err)
		return 1
	}
	for _, c := range last {
		fmt.Printf("received %d sent %d\n", c.Frames[0], c.Sent)
	}
	fmt.Println("serving", serving)
	runtime.ReadMemStats(&after)
	fmt.Printf("allocated %d in %d collections\n", after.TotalAlloc-before.TotalAlloc, after.NumGC-before.NumGC)
	fmt.Printf("yielded %d waited %d\n", y.all, y.waited)
	for _, port := range ports {
		fmt.Printf("port %+v\n", port)
	}
	for _, c := range last {
		fmt.Printf("lcore %+v\n", c)
	}
	return 0
}

// churn allocates until the context ends.
func churn(ctx context.Context) {
	for each := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-each.C {
		for range 1000 {
			garbage = make([]byte, 200)
		}
	}
}

var garbage []byte
