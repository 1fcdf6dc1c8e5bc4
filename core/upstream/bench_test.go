package upstream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echoVariable makes the test's own binary an echo server, in a process of its
// own so that its CPU time is not counted as ours.
const echoVariable = "STRATA_TEST_ECHO"

// echo sends each query back as a reply, until its standard input ends.
func echo() {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	fmt.Println(conn.LocalAddr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = conn.Close()
	}()
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		buf[2] |= 0x80
		_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
	}
}

func startEcho(t testing.TB) netip.AddrPort {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), echoVariable+"=1", "GOMAXPROCS=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(line[:len(line)-1])
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAsk keeps a number of questions in the air, as misses of a cache do.
// cpu-ns/op is what asking costs this process, both ways and the kernel's
// share included.
func BenchmarkAsk(b *testing.B) {
	for _, window := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			s := newSet(b, newEngine(b, Options{}), Server{Addr: startEcho(b)})
			q := question("www.example.com")
			tokens := make(chan struct{}, window)
			var wg sync.WaitGroup
			done := func(a Answer) {
				if a.Err != nil {
					b.Error(a.Err)
				}
				<-tokens
				wg.Done()
			}
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				tokens <- struct{}{}
				wg.Add(1)
				s.Ask(q, done)
			}
			wg.Wait()
			b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
