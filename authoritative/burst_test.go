package main

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/plane/frame"
	"github.com/strata-dns/strata/core/wire"
)

// datacenterName is the i-th of names as datacenters have them: of two to five labels above the
// zone's, 20 to 75 octets.
func datacenterName(i int) string {
	id := strconv.FormatInt(int64(i), 36)
	role := [...]string{"web", "db", "cache", "api", "recommendation-engine"}[i*7919>>4%5]
	switch i * 31337 >> 3 % 5 {
	case 0:
		return role + "-" + id + ".example.org"
	case 1:
		return fmt.Sprintf("%s-%07d.dc%d.example.org", role, i, i%3)
	case 2:
		return fmt.Sprintf("ip-10-%d-%d-%d.ams3.example.org", i>>16&255, i>>8&255, i&255)
	case 3:
		return fmt.Sprintf("%s-%08x-%s.team-logistics.pod.example.org", role, uint32(i)*2654435761, id)
	}
	return fmt.Sprintf("%s-%s.platform-monitoring.svc.dc%d.example.org", role, id, i%3)
}

// A stream is frames without end, of an owner's choice, copied into buffers as a driver does.
type stream struct {
	frames  []byte // one behind the other
	ends    []int
	next    int
	buffers [][]byte
	buffer  int
}

// buffers is how many a driver goes round in.
const buffers = 256

// newStream makes frames of n names drawn of so many, one of every `of` being a name that is not
// there; 0: none.
func newStream(n, names, of int) *stream {
	s := new(stream)
	for i := range n {
		k := rand.IntN(names)
		if of != 0 && i%of == 0 {
			k += 10_000_000
		}
		s.frames = append(s.frames, summed(queryFrame(datacenterName(k)))...)
		s.ends = append(s.ends, len(s.frames))
	}
	room := make([]byte, buffers*2304)
	for i := range buffers {
		s.buffers = append(s.buffers, room[i*2304:i*2304:(i+1)*2304])
	}
	return s
}

// summed writes the checksum of UDP.
func summed(b []byte) []byte {
	d := b[34:]
	s := uint32(17 + len(d))
	for i := 26; i < len(b); i += 2 {
		s += uint32(b[i]) << 8
		if i+1 < len(b) {
			s += uint32(b[i+1])
		}
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	binary.BigEndian.PutUint16(d[6:], ^uint16(s))
	return b
}

// burst fills the next.
func (s *stream) burst(burst [][]byte) {
	for i := range burst {
		from := 0
		if s.next > 0 {
			from = s.ends[s.next-1]
		}
		burst[i] = append(s.buffers[s.buffer], s.frames[from:s.ends[s.next]]...)
		s.buffer = (s.buffer + 1) % buffers
		if s.next++; s.next == len(s.ends) {
			s.next = 0
		}
	}
}

// BenchmarkBurst takes what an lcore spends on a query, drivers left out: decode, answer, turn. cpu-ns/op
// is the thread's own time. Of the row driver it is that of the copies into the buffers alone, which are
// in all rows. In that of delegations the zone has one, so that all is parsed.
func BenchmarkBurst(b *testing.B) {
	for _, names := range []int{50_000, 2_000_000} {
		var l *lane
		for _, row := range []struct {
			name string
			of   int
			sums bool
		}{{"driver", 0, false}, {"hits", 0, false}, {"half", 2, false}, {"offloads", 0, true}, {"delegations", 0, false}} {
			b.Run(fmt.Sprintf("names=%d/%s", names, row.name), func(b *testing.B) {
				if l == nil || row.name == "delegations" {
					l = newBurstLane(b, names, row.name == "delegations")
				}
				l.good, l.sums = 0, row.sums
				if row.sums {
					l.good = frame.GoodIP | frame.GoodL4
				}
				benchmarkBurst(b, l, newStream(min(4*names, 1<<20), names, row.of), row.name == "driver")
			})
		}
	}
}

func newBurstLane(b *testing.B, names int, delegates bool) *lane {
	var zone strings.Builder
	zone.WriteString("$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns1 hostmaster 7 7200 1800 1209600 60\n@ IN NS ns1\nns1 IN A 10.0.0.53\n")
	if delegates {
		zone.WriteString("sub NS ns.elsewhere.example.\n")
	}
	for i := range names {
		fmt.Fprintf(&zone, "%s. A 10.%d.%d.%d\n", datacenterName(i), i>>16&255, i>>8&255, i&255)
	}
	s, err := newServer(slog.New(slog.DiscardHandler), wire.DefaultUDP)
	if err != nil {
		b.Fatal(err)
	}
	s.load(b, zone.String())
	return s.lane(b)
}

func benchmarkBurst(b *testing.B, l *lane, s *stream, idle bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	burst := make([][]byte, 64)
	b.ReportAllocs()
	began := threadTime()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(burst) {
		s.burst(burst)
		if !idle && l.serve(burst) != len(burst) {
			b.Fatal("not all are queries")
		}
	}
	b.ReportMetric(float64(threadTime()-began)/float64(b.N), "cpu-ns/op")
	if !idle && l.tells.rcodes()["servfail"]+l.tells.rcodes()["refused"] != 0 {
		b.Fatal(l.tells.rcodes())
	}
}
