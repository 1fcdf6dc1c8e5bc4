package upstream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/wire"
)

// TestPack finds each packet in one message, with segments that the kernel cuts where
// packets end.
func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	sizes := []int{30, 31, 31, 32, 33, 34, 60, segmentMost - 1, segmentMost, segmentMost + 1, 1400}
	for round := range 2000 {
		var packets []byte
		var sends []datagram
		for range 1 + r.IntN(bundleMost) {
			from := len(packets)
			packets = append(packets, bytes.Repeat([]byte{byte(len(sends))}, sizes[r.IntN(len(sizes))])...)
			sends = append(sends, datagram{from: from, to: len(packets)})
		}
		var b bundle
		b.arrange(sends)
		b.pack(packets, sends, b.order, round%4 > 0)
		seen := 0
		for i := range b.messages[:b.count] {
			h := &b.messages[i].header
			vectors := unsafe.Slice(h.Iov, h.Iovlen)
			first, total := int(vectors[0].Len), 0
			for at, v := range vectors {
				if d := sends[b.order[seen]]; v.Base != &packets[d.from] || int(v.Len) != d.size() {
					t.Fatalf("packet %d is not where it should be", seen)
				}
				if int(v.Len) > first || int(v.Len) < first && at < len(vectors)-1 {
					t.Fatalf("segment %d of %d has %d octets, the first %d", at, len(vectors), v.Len, first)
				}
				total += int(v.Len)
				seen++
			}
			cut := h.Controllen > 0
			if cut != (len(vectors) > 1) || cut && (round%4 == 0 || first > segmentMost || int(b.controls[i].size) != first) || total > messageMost {
				t.Fatalf("%d packets, %d octets, the first %d, of control %d", len(vectors), total, first, h.Controllen)
			}
		}
		if seen != len(sends) {
			t.Fatalf("%d packets in messages, want %d", seen, len(sends))
		}
		slices.Sort(b.order)
		if len(slices.Compact(b.order)) != len(sends) {
			t.Fatal("a packet leaves twice")
		}
	}
}

// TestArrange checks how many messages are made of packets of many sizes.
func TestArrange(t *testing.T) {
	for _, tt := range []struct {
		sizes []int
		want  int
	}{
		{[]int{90, 90, 90, 80, 80, 80, 70, 60}, 2},           // 90 90 90 60; 80 80 80 70
		{[]int{60, 40, 70, 90, 60, 80, 50, 60, 70}, 3},       // 90 80; 70 70 and 60 60 60 with one of the others
		{[]int{segmentMost + 2, segmentMost + 1, 50, 40}, 3}, // what is no segment takes none
		{[]int{95, 90, 85, 80, 75, 70, 65, 60, 55, 50}, 5},
		{[]int{50, 50, 50, 50}, 1},
	} {
		var b bundle
		var sends []datagram
		end := 0
		for _, size := range tt.sizes {
			sends = append(sends, datagram{from: end, to: end + size})
			end += size
		}
		b.arrange(sends)
		if b.pack(make([]byte, end), sends, b.order, true); b.count != tt.want {
			t.Errorf("%d: %d messages, want %d", tt.sizes, b.count, tt.want)
		}
		if b.pack(make([]byte, end), sends, b.order, false); b.count != len(sends) {
			t.Errorf("%d, whole: %d messages", tt.sizes, b.count)
		}
	}
}

// TestHold has questions of many sizes leave at Release, not before, and their answers
// come together; also where the kernel refuses to cut messages, as it does on a
// socket without checksums.
func TestHold(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused %v", refused), func(t *testing.T) {
			e := newEngine(t, Options{Shards: 1})
			conn, server := listen(t)
			s := newSet(t, e, server)

			const count = 40
			var answered sync.WaitGroup
			e.Hold()
			for i := range count {
				answered.Add(1)
				s.Ask(question(strings.Repeat("x", 1+i%9)+fmt.Sprintf("%d.example.com", i)), func(a Answer) {
					if a.Err != nil {
						t.Error(a.Err)
					}
					answered.Done()
				})
			}
			if refused {
				withoutChecksums(t, e)
			}
			holdsReplies(t, e)
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			buf := make([]byte, 2048)
			if n, _, err := conn.ReadFromUDPAddrPort(buf); err == nil {
				t.Fatalf("%d octets before Release", n)
			}
			e.Release()
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			for range count {
				n, from, err := conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					t.Fatal(err)
				}
				buf[2] |= 0x80
				if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil {
					t.Fatal(err)
				}
			}
			answered.Wait()
			now, to := e.now(), (*s.servers.Load())[0]
			if to.cuts.allowed(now) == refused {
				t.Errorf("messages refused: %v", !refused)
			}
			if !to.cuts.allowed(now + int64(wholeFor)) {
				t.Error("never tried again")
			}
			if st := s.Stats()[0]; st.Asked != count || st.Answered != count {
				t.Errorf("asked %d, answered %d, want %d", st.Asked, st.Answered, count)
			}
		})
	}
}

// listen gives a server that answers nothing by itself.
func listen(t *testing.T) (*net.UDPConn, Server) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, Server{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// TestEven: questions that leave together, and carry an option, have one of few lengths, and
// say what they said; others are as short as they can be.
func TestEven(t *testing.T) {
	for _, tt := range []struct{ held, options, even bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		e := newEngine(t, Options{Shards: 1})
		conn, server := listen(t)
		s := newSet(t, e, server)
		if tt.held {
			e.Hold()
		}
		const count = 2*evenBlock + 1
		for i := range count {
			q := question(strings.Repeat("x", 1+i%60) + "." + fmt.Sprint(i) + ".example")
			if tt.options {
				q.Options = wire.AppendOption(nil, 65001, []byte("trail"))
			}
			s.Ask(q, func(Answer) {})
		}
		if tt.held {
			e.Release()
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		lengths := map[int]bool{}
		for range count {
			buf := make([]byte, 2048)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			var m dns.Msg
			if err := m.Unpack(buf[:n]); err != nil || m.IsEdns0() == nil {
				t.Fatalf("%x: %v", buf[:n], err)
			}
			lengths[n] = true
			options := m.IsEdns0().Option
			if got := len(options) > 0 && string(options[0].(*dns.EDNS0_LOCAL).Data) == "trail"; got != tt.options {
				t.Errorf("%+v: options %v", tt, options)
			}
			if tt.even && n%evenBlock != 0 {
				t.Errorf("%d octets", n)
			}
			if !tt.even && len(options) > 1 {
				t.Errorf("%+v: options %v", tt, options)
			}
		}
		if few := len(lengths) <= 4; few != tt.even {
			t.Errorf("%+v: %d lengths", tt, len(lengths))
		}
	}
}

// withoutChecksums has the kernel refuse to cut what an engine sends.
func withoutChecksums(t *testing.T, e *Engine) {
	t.Helper()
	s := e.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.sockets {
		if err := unix.SetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
			t.Fatal(err)
		}
	}
}

// holdsReplies has an engine's sockets have room for the replies to what they ask.
func holdsReplies(t *testing.T, e *Engine) {
	t.Helper()
	s := e.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	const small = 768 // octets that the kernel counts for a small datagram, at least
	for _, k := range s.sockets {
		if n, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil || n < socketQueries*small {
			t.Errorf("receive buffer of %d octets, %v", n, err)
		}
	}
}

// TestHoldLetsGo has a question leave that was put to those held when the last holder
// had just released, and did not see it.
func TestHoldLetsGo(t *testing.T) {
	e := newEngine(t, Options{Shards: 1})
	s := e.shards[0]
	e.Hold()
	s.mu.Lock()
	o, _ := s.questions()
	s.holds.Store(false) // as the holder saw it
	e.Release()
	if s.letGo(o) != o || s.held != nil {
		t.Error("it stays")
	}
	s.mu.Unlock()
	outboxes.Put(o)
}

// TestHoldUnderLoad asks from several goroutines that hold and release, and from one
// that does neither: each question is answered once.
func TestHoldUnderLoad(t *testing.T) {
	e := newEngine(t, Options{})
	s := newSet(t, e, Server{Addr: startEcho(t)})
	e.Together(func(callbacks func()) { callbacks() })
	var answered atomic.Int32
	var askers sync.WaitGroup
	const rounds, each = 40, 10
	for g := range 3 {
		askers.Go(func() {
			for range rounds {
				var open sync.WaitGroup
				open.Add(each)
				if g > 0 {
					e.Hold()
				}
				for i := range each {
					s.Ask(question(fmt.Sprintf("n%d.example.com", i)), func(a Answer) {
						if a.Err != nil {
							t.Error(a.Err)
						}
						answered.Add(1)
						open.Done()
					})
				}
				if g > 0 {
					e.Release()
				}
				open.Wait()
			}
		})
	}
	askers.Wait()
	if answered.Load() != 3*rounds*each || e.InFlight() != 0 {
		t.Errorf("%d answers, %d in flight", answered.Load(), e.InFlight())
	}
}
