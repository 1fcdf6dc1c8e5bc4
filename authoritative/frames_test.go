package main

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/plane/frame"
	"github.com/strata-dns/strata/core/wire"
)

// A lane does what an lcore does with its frames, but for the port.
type lane struct {
	host   *frame.Host
	good   frame.Sums // what the port vouches for
	sums   bool       // and whether it writes checksums
	tells  teller
	frames [64]frame.Frame
	batch  [64]plane.Packet
}

// serve answers a burst in its frames, and says how many of them were queries.
func (l *lane) serve(burst [][]byte) (queries int) {
	for i, b := range burst {
		f, p := &l.frames[i], &l.batch[i]
		if l.host.DecodeChecked(b, f, l.good) != frame.Query {
			return queries
		}
		p.Data, p.Client = b[f.Payload:f.End:f.Payload+1232], f.Client
		f.Save(b, &p.Return)
		queries++
	}
	l.tells.Answer(l.batch[:queries], nil)
	for i, b := range burst {
		if l.sums {
			l.frames[i].TurnUnsummed(b[:cap(b)], len(l.batch[i].Data))
		} else {
			l.frames[i].Turn(b[:cap(b)], len(l.batch[i].Data))
		}
	}
	return queries
}

// queryFrame is a question for a name, over UDP, IPv4 and Ethernet, to 10.0.0.53.
func queryFrame(name string) []byte {
	wired, _ := wire.ParseName(name)
	question := wire.AppendQuery(nil, 77, 0, wired, wire.TypeA, wire.ClassIN, nil)
	b := make([]byte, 0, 2048)
	b = append(b, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0)
	ip := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(28+len(question)))
	ip = append(ip, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 9, 10, 0, 0, 53)
	s := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		s += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(s%0xffff))
	b = append(b, ip...)
	b = append(b, 4242>>8, 4242&255, 0, 53)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(question)))
	return append(append(b, 0, 0), question...) // IPv4 may go without a checksum
}

// newLane makes a server of so many names, and a lane of it.
func newLane(tb testing.TB, names int) (*lane, *server) {
	tb.Helper()
	s, err := newServer(slog.New(slog.DiscardHandler), wire.DefaultUDP)
	if err != nil {
		tb.Fatal(err)
	}
	fill(tb, s, names, 1)
	return s.lane(tb), s
}

// fill has the server answer with addresses in 10.NET.0.0/16.
func fill(tb testing.TB, s *server, names, net int) {
	tb.Helper()
	var zone strings.Builder
	zone.WriteString("$TTL 300\n@ IN SOA ns1 hostmaster 7 7200 1800 1209600 60\n@ IN NS ns1\nns1 IN A 10.0.0.53\n")
	for i := range names {
		fmt.Fprintf(&zone, "n%06d IN A 10.%d.%d.%d\n", i, net, i>>8&255, i&255)
	}
	s.load(tb, zone.String())
}

// load has the server answer from a master file.
func (s *server) load(tb testing.TB, zone string) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(zone), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := s.setZones([]Zone{{Name: "example.org", Source: fromFile, File: path}}); err != nil {
		tb.Fatal(err)
	}
}

// lane makes another lane of the server.
func (s *server) lane(tb testing.TB) (l *lane) {
	tb.Helper()
	l = new(lane)
	l.tells.next = s.worker()
	var err error
	l.host, err = frame.NewHost(net.HardwareAddr{2, 0, 0, 0, 0, 1}, []netip.Prefix{netip.MustParsePrefix("10.0.0.53/24")}, 53)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// TestFrameWay: the whole way of a burst allocates nothing.
func TestFrameWay(t *testing.T) {
	l, _ := newLane(t, 100)
	burst, template := make([][]byte, 64), queryFrame("n000042.example.org")
	for i := range burst {
		burst[i] = make([]byte, 0, 2048)
	}
	if n := testing.AllocsPerRun(20, func() {
		for i := range burst {
			burst[i] = append(burst[i][:0], template...)
		}
		if l.serve(burst) != len(burst) {
			t.Error("not all are queries")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if got := l.tells.rcodes()["noerror"]; got != 64*21 {
		t.Errorf("%d answers", got)
	}
}

// TestOneSetOfData: a change is seen by all lanes from the moment on that it is made,
// while all of them are answering.
func TestOneSetOfData(t *testing.T) {
	first, s := newLane(t, 100)
	lanes := []*lane{first, s.lane(t), s.lane(t)}
	var made atomic.Uint32 // the second octet of all addresses, at least
	made.Store(1)
	stop := make(chan struct{})
	var serving sync.WaitGroup
	answered := make([]atomic.Uint64, len(lanes))
	for i, l := range lanes {
		serving.Go(func() {
			template, burst := queryFrame("n000042.example.org"), [][]byte{make([]byte, 0, 2048)}
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := made.Load()
				burst[0] = append(burst[0][:0], template...)
				l.serve(burst)
				reply := l.batch[0].Data
				if got := uint32(reply[len(reply)-3]); got < least {
					t.Errorf("lane %d answers 10.%d, after 10.%d was made", i, got, least)
					return
				}
				answered[i].Add(1)
			}
		})
	}
	for net := 2; net <= 20; net++ {
		fill(t, s, 100, net)
		made.Store(uint32(net))
		for i := range answered { // each has its turn
			for n := answered[i].Load(); answered[i].Load() == n && !t.Failed(); {
				runtime.Gosched()
			}
		}
	}
	close(stop)
	serving.Wait()
}

// BenchmarkFrames takes what an lcore spends on a query, the port left out. cpu-ns/op is
// the thread's own time, whatever else the machine does.
func BenchmarkFrames(b *testing.B) {
	for _, names := range []int{50_000, 1_000_000} {
		for _, offloads := range []bool{false, true} {
			b.Run(fmt.Sprintf("names=%d/offloads=%v", names, offloads), func(b *testing.B) {
				l, _ := newLane(b, names)
				if l.sums = offloads; offloads {
					l.good = frame.GoodIP | frame.GoodL4
				}
				benchmarkLane(b, l, names)
			})
		}
	}
}

func benchmarkLane(b *testing.B, l *lane, names int) {
	const pool = 1 << 16
	templates := make([][]byte, pool)
	for i := range templates {
		templates[i] = queryFrame(fmt.Sprintf("n%06d.example.org", rand.IntN(names)))
	}
	burst := make([][]byte, 64)
	for i := range burst {
		burst[i] = make([]byte, 0, 2048)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	at, began := 0, threadTime()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(burst) {
		for i := range burst {
			burst[i] = append(burst[i][:0], templates[at]...)
			at = (at + 1) % pool
		}
		if l.serve(burst) != len(burst) {
			b.Fatal("not all are queries")
		}
	}
	b.ReportMetric(float64(threadTime()-began)/float64(b.N), "cpu-ns/op")
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
