package observe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testSources = []Source{{Name: "miss"}, {Name: "hit"}, {Name: "junk", Rules: true, Junk: true}, {Name: "upstream"}}

func newObserver(t testing.TB, c Config) *Observer {
	t.Helper()
	b, err := New(Options{Sources: testSources}, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// see has a tap see one query and its reply, as a batch of one. It reports whether
// it was looked at.
func see(t testing.TB, tap *Tap, client, name string, source, rcode int) bool {
	t.Helper()
	p := plane.Packet{
		Data:   wire.AppendQuery(nil, 1, wire.FlagRD, wire.MustName(name), wire.TypeA, wire.ClassIN, nil),
		Client: netip.AddrPortFrom(netip.MustParseAddr(client), 4000),
	}
	var q wire.Query
	if q.Parse(p.Data) != wire.Valid {
		t.Fatal(name)
	}
	left := tap.Begin()
	if left == 0 {
		return false
	}
	if left--; left > 0 {
		tap.End(left)
		return false
	}
	left = tap.Query(&p)
	defer tap.End(left)
	reply := append([]byte(nil), p.Data...)
	reply[2] |= 0x80
	reply[3] = byte(rcode)
	tap.Answer(&q, &p, reply, source, false)
	return true
}

func ranks(t *testing.T, b *Observer, what Sort) string {
	t.Helper()
	r, err := b.Top(what, 3)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, rank := range r.Ranks {
		all = append(all, fmt.Sprintf("%s %d-%d", rank.Key, rank.AtLeast, rank.Queries))
	}
	return strings.Join(all, ", ")
}

func TestTop(t *testing.T) {
	b := newObserver(t, Config{Top: Top{Sample: 1, Size: 100}})
	one, two := b.Tap(netip.AddrPort{}), b.Tap(netip.AddrPort{})
	for i := range 30 {
		see(t, one, "192.0.2.1", "WWW.example.com", 1, wire.RcodeSuccess)
		if i%3 == 0 {
			see(t, two, "2001:db8::1", "gone.example.net", 1, wire.RcodeNXDomain)
			see(t, one, "192.0.2.2", "www.example.com.prd.example.com", 2, wire.RcodeNXDomain)
		}
		if i%10 == 0 {
			see(t, two, "::ffff:192.0.2.1", "com", 1, wire.RcodeSuccess)
		}
	}
	for what, want := range map[Sort]string{
		Names:    "www.example.com. 30-30, www.example.com.prd.example.com. 10-10, gone.example.net. 10-10",
		Clients:  "192.0.2.1 33-33, 192.0.2.2 10-10, 2001:db8::1 10-10",
		Junk:     "www.example.com.prd.example.com. 10-10",
		Missing:  "gone.example.net. 10-10",
		Suffixes: "example.com. 40-40, example.net. 10-10, com. 3-3",
	} {
		if got := ranks(t, b, what); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	if err := b.Set(Config{}); err != nil {
		t.Fatal(err)
	}
	if see(t, one, "192.0.2.1", "www.example.com", 1, 0) {
		t.Error("seen while off")
	}
	if _, err := b.Top(Names, 1); err == nil {
		t.Error("ranked while off")
	}
	if err := b.Set(Config{Top: Top{Sample: 1, Size: 1}}); err != nil {
		t.Fatal(err)
	}
	see(t, one, "192.0.2.1", "a.example", 1, 0)
	see(t, one, "192.0.2.1", "b.example", 1, 0)
	if got := ranks(t, b, Names); got != "b.example. 1-2" {
		t.Errorf("two names in one counter: %s", got)
	}
}

// A sample is one in so many, whatever the pattern of queries.
func TestSample(t *testing.T) {
	b := newObserver(t, Config{Top: Top{Sample: 16, Size: 10}, QueryLog: QueryLog{Sample: 4}})
	tap := b.Tap(netip.AddrPort{})
	names := []string{"a.example", "b.example"} // by turns, as A and AAAA are asked for
	const n = 64_000
	var seen [kinds]int
	var which [2]int
	for i := range n {
		if see(t, tap, "192.0.2.1", names[i%2], 1, 0) {
			for k := range seen {
				if tap.due.has(kind(k)) {
					seen[k]++
				}
			}
			if tap.due.has(topKind) {
				which[i%2]++
			}
		}
		if i%100 == 0 {
			b.drainTop()
			b.drainLog()
		}
	}
	for k, every := range [kinds]int{16, 4, 0} {
		want := 0
		if every > 0 {
			want = n / every
		}
		if d := seen[k] - want; d < -want/10 || d > want/10 {
			t.Errorf("%s: %d of %d seen, not one in %d", kindNames[k], seen[k], n, every)
		}
	}
	if which[0] < n/16/2*8/10 || which[1] < n/16/2*8/10 {
		t.Errorf("of two names by turns %v are seen", which)
	}
}

// Lines are whole and in a file of their own, which a reload opens anew.
func TestQueryLog(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "queries.log")
		c := Config{QueryLog: QueryLog{Sample: 1, File: file}}
		b, err := New(Options{Sources: testSources, JSON: asJSON, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = b.Run(ctx) })
		tap := b.Tap(netip.AddrPort{})
		see(t, tap, "192.0.2.1", "Www.Example", 1, wire.RcodeNXDomain)
		await(t, func() bool { return len(read(t, file)) > 0 })
		line := read(t, file)
		want := `level=INFO msg=query client=192.0.2.1:4000 proto=udp name=www.example. type=A flags=rd from=hit rcode=NXDOMAIN size=29` + "\n"
		if asJSON {
			want = `"level":"INFO","msg":"query","client":"192.0.2.1:4000","proto":"udp","name":"www.example.","type":"A","flags":"rd","from":"hit","rcode":"NXDOMAIN","size":29}` + "\n"
		}
		if !strings.HasSuffix(line, want) || !strings.Contains(line, time.Now().Format("2006-01-")) {
			t.Errorf("%q, want %q", line, want)
		}
		if err := os.Rename(file, file+".1"); err != nil {
			t.Fatal(err)
		}
		see(t, tap, "192.0.2.1", "before.example", 1, 0)
		if err := b.Set(c); err != nil {
			t.Fatal(err)
		}
		see(t, tap, "192.0.2.1", "behind.example", 1, 0)
		await(t, func() bool { return strings.Contains(read(t, file), "behind.example") })
		if err := b.Set(Config{QueryLog: QueryLog{Sample: 1, File: "/nonexistent/x"}}); err == nil || !strings.Contains(err.Error(), "query_log.file: open /nonexistent/x") {
			t.Errorf("a file that cannot be opened: %v", err)
		}
		see(t, tap, "192.0.2.1", "still.example", 1, 0)
		cancel()
		running.Wait()
		all := read(t, file+".1") + read(t, file)
		if n := strings.Count(all, "\n"); n != 4 || !strings.Contains(read(t, file), "still.example") {
			t.Errorf("%d lines: %s", n, all)
		}
	}
}

// A disk that is full loses lines, which are counted and told of once.
func TestQueryLogOnFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	var said bytes.Buffer
	b, err := New(Options{Sources: testSources, Log: slog.New(slog.NewTextHandler(&said, nil))}, Config{QueryLog: QueryLog{Sample: 1, File: "/dev/full"}})
	if err != nil {
		t.Fatal(err)
	}
	tap := b.Tap(netip.AddrPort{})
	for range 3 {
		see(t, tap, "192.0.2.1", "a.example", 1, 0)
		b.drainLog()
	}
	if n := b.pipes[logKind].failed.Load(); n != 3 {
		t.Errorf("%d failed", n)
	}
	if strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), "no space left on device") {
		t.Errorf("it said %q", said.String())
	}
}

// A clock that is set back does not stop the counting.
func TestClockSetBack(t *testing.T) {
	b := newObserver(t, Config{Top: Top{Sample: 1, Size: 10}})
	tap := b.Tap(netip.AddrPort{})
	see(t, tap, "192.0.2.1", "a.example", 1, 0)
	if ranks(t, b, Names) != "a.example. 1-1" {
		t.Fatal("not counted")
	}
	for s := range b.top.windows {
		b.top.windows[s].epoch += 60 // as if it had been an hour later
	}
	see(t, tap, "192.0.2.1", "b.example", 1, 0)
	if got := ranks(t, b, Names); got != "b.example. 1-1" {
		t.Errorf("counted: %s", got)
	}
}

// Config may change, and everything be read, while workers see queries.
func TestSetWhileSeen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	configs := []Config{
		{}, {Top: Top{Sample: 1, Size: 5}}, {QueryLog: QueryLog{Sample: 2, File: file}}, {Top: Top{Sample: 3, Size: 5}, QueryLog: QueryLog{Sample: 1, File: file}},
		{Dnstap: Dnstap{Socket: file + ".sock", Sample: 1, Messages: []string{clientQuery}}},
	}
	b := newObserver(t, configs[3])
	ctx, cancel := context.WithCancel(context.Background())
	var running, seeing sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	stop := make(chan struct{})
	for range 2 {
		tap := b.Tap(netip.AddrPort{})
		seeing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					see(t, tap, "192.0.2.1", fmt.Sprintf("n%d.example", i%9), 1, 0)
				}
			}
		})
	}
	for i := range 201 {
		if err := b.Set(configs[(i+3)%len(configs)]); err != nil {
			t.Error(err)
		}
		_, _ = b.Top(Names, 5) // off by turns
	}
	await(t, func() bool { // the last of the configs has both
		_, _ = b.Top(Names, 5)
		return b.pipes[topKind].written.Load() > 0 && b.pipes[logKind].written.Load() > 0
	})
	close(stop)
	seeing.Wait()
	cancel()
	running.Wait()
}

// await waits until something holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not seen in 10 s")
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// BenchmarkTap is what a query pays for being counted, looked at or not; ns/op is a
// query's, in batches of 32, with the tables filled on the other side where
// reading is.
func BenchmarkTap(b *testing.B) {
	all := Config{Top: Top{Sample: 1, Size: 1000}, QueryLog: QueryLog{Sample: 1}, Dnstap: Dnstap{Socket: "/nonexistent", Sample: 1}}
	for _, one := range []struct {
		what    string
		c       Config
		reading bool
	}{
		{"off", Config{}, false},
		{"top 16", Config{Top: Top{Sample: 16, Size: 1000}}, false},
		{"top 16, tables too", Config{Top: Top{Sample: 16, Size: 1000}}, true},
		{"log 1000000", Config{QueryLog: QueryLog{Sample: 1_000_000}}, false},
		{"all 1", all, false},
	} {
		b.Run(one.what, func(b *testing.B) {
			o := newObserver(b, one.c)
			tap := o.Tap(netip.AddrPort{})
			packets := make([]plane.Packet, 1024)
			queries := make([]wire.Query, len(packets))
			for i := range packets {
				packets[i].Data = wire.AppendQuery(nil, 1, wire.FlagRD, wire.MustName(fmt.Sprintf("name-%d.host.example.com", i*i%771)), wire.TypeA, wire.ClassIN, nil)
				packets[i].Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 4000)
				queries[i].Parse(packets[i].Data)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; {
				left := tap.Begin()
				if left == 0 {
					n += 32
					continue
				}
				for range 32 {
					if left--; left == 0 {
						p := &packets[n%len(packets)]
						left = tap.Query(p)
						tap.Answer(&queries[n%len(packets)], p, p.Data, 1, false)
					}
					n++
				}
				tap.End(left)
				switch {
				case n%1024 != 0:
				case one.reading:
					o.drainTop()
				default: // as if it was read
					for _, r := range tap.rings {
						if r != nil {
							r.read.Store(r.head)
						}
					}
				}
			}
		})
	}
}
