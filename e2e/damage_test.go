package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// damagedPackets is how many packets each daemon gets.
const damagedPackets = 1_000_000

// between is how many packets are sent before one good question is asked over
// the same socket: the daemon reads them in order, so that its answer says that
// none was dropped on the way.
const between = 150

// A damager makes packets that are broken in one of many ways. It is seeded: the
// same packets every time.
type damager struct {
	rand  *rand.Rand
	seeds [][]byte
	buf   [65_507]byte // the most that UDP over IPv4 carries
}

func newDamager(seed uint64) *damager {
	d := &damager{rand: rand.New(rand.NewPCG(seed, 2))}
	for i := range d.buf {
		d.buf[i] = byte(d.rand.Uint32()) // what longer packets end in
	}
	for _, name := range []string{"db.dc1.prd.example.com.", "none.prd.example.com.", "10.1.1.10.in-addr.arpa.", "."} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeANY, dns.TypeTXT, dns.TypeAXFR} {
			m := new(dns.Msg).SetQuestion(name, typ)
			m.SetEdns0(1232, true)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
			packed, err := m.Pack()
			if err != nil {
				panic(err)
			}
			d.seeds = append(d.seeds, packed)
		}
	}
	return d
}

// packet is valid until the next call.
func (d *damager) packet() []byte {
	p := d.buf[:copy(d.buf[:], d.seeds[d.rand.IntN(len(d.seeds))])]
	binary.BigEndian.PutUint16(p, uint16(d.rand.Uint32())|1) // good questions have even IDs
	switch d.rand.IntN(12) {
	case 0: // noise
		p = d.buf[:d.rand.IntN(300)]
		for i := range p {
			p[i] = byte(d.rand.Uint32())
		}
		if len(p) > 1 {
			p[1] |= 1
		}
	case 1: // cut
		p = p[:d.rand.IntN(len(p))]
	case 2: // longer, at times much
		p = d.buf[:len(p)+d.rand.IntN(1200)]
		if d.rand.IntN(100) == 0 {
			p = d.buf[:len(p)+d.rand.IntN(len(d.buf)-len(p))]
		}
	case 3: // a reply
		p[2] |= 0x80
	case 4: // any opcode and flags, but not a reply
		p[2], p[3] = byte(d.rand.Uint32())&0x7f, byte(d.rand.Uint32())
	case 5: // any counts
		binary.BigEndian.PutUint16(p[4+2*d.rand.IntN(4):], uint16(d.rand.IntN(5))*uint16(d.rand.IntN(20000)))
	case 6: // a compression pointer into the question, to itself or forward (RFC 1035 §4.1.4)
		at := 12 + d.rand.IntN(3)
		binary.BigEndian.PutUint16(p[at:], 0xc000|uint16(d.rand.IntN(len(p))))
	case 7: // any class or type
		at := len(p) - d.rand.IntN(min(len(p)-12, 40)) - 1
		p[at] = byte(d.rand.Uint32())
	case 8: // an OPT record that is not one
		at := len(p) - d.rand.IntN(22) - 1
		binary.BigEndian.PutUint16(p[at-1:], uint16(d.rand.Uint32()))
	default: // some bits
		for range 1 + d.rand.IntN(6) {
			p[2+d.rand.IntN(len(p)-2)] ^= 1 << d.rand.IntN(8)
		}
	}
	return p
}

// A million damaged packets: the daemon answers right afterwards, to no reply it
// replies, and its memory has not grown.
func TestDamagedPackets(t *testing.T) {
	if testing.Short() {
		t.Skip("short: three million packets take half a minute")
	}
	s := newStack(t, stack.Whole)
	for i, server := range daemons(s) {
		t.Run(server.Name, func(t *testing.T) {
			pid := server.PID()
			warm(t, server)
			send(t, server, newDamager(uint64(i)), damagedPackets/10) // buffers and caches find their size
			before, err := server.Resident()
			must(t, err)
			began := time.Now()
			send(t, server, newDamager(uint64(100+i)), damagedPackets)
			took := time.Since(began)
			after, err := server.Resident()
			must(t, err)
			t.Logf("%d packets in %.1f s; resident memory %d kB before, %d kB after", damagedPackets, took.Seconds(), before>>10, after>>10)
			// The collector's pace and 16 MiB of cache, which the names that came
			// through fill, are no growth.
			if limit := before + before/4 + 24<<20; after > limit {
				t.Errorf("resident memory went from %d to %d kB", before>>10, after>>10)
			}
			warm(t, server)
			if server.PID() != pid {
				t.Error("it is not the same process")
			}
		})
	}
}

// warm asks good questions, which must be answered well.
func warm(t *testing.T, server *stack.Server) {
	t.Helper()
	for name, want := range map[string]string{"db.dc1.prd.example.com": "10.1.1.10", "db.dc2.prd.example.com": "10.2.1.10"} {
		if reply, err := exchange(server, name, dns.TypeA); !answered(reply, err, want) {
			t.Errorf("%s: %v, %v", name, reply, err)
		}
	}
}

// send sends damaged packets as fast as the server takes them.
func send(t *testing.T, server *stack.Server, d *damager, n int) {
	t.Helper()
	conn, err := net.Dial("udp", server.Address)
	must(t, err)
	defer conn.Close()
	must(t, conn.(*net.UDPConn).SetReadBuffer(4<<20))
	good, err := new(dns.Msg).SetQuestion("db.dc1.prd.example.com.", dns.TypeA).Pack()
	must(t, err)
	reply := make([]byte, 65536)
	for sent := 0; sent < n; {
		for range between {
			if _, err := conn.Write(d.packet()); err != nil {
				t.Fatalf("after %d packets: %v", sent, err)
			}
			sent++
		}
		id := uint16(sent) &^ 1
		binary.BigEndian.PutUint16(good, id)
		if err := goodAnswer(conn, good, reply, id); err != nil {
			t.Fatalf("after %d packets: %v", sent, err)
		}
		if sent%(between*64) == 0 {
			runtime.Gosched() // others need the processor, too
		}
	}
}

// goodAnswer asks a good question and reads, among what comes, its answer. All
// else must be replies too.
func goodAnswer(conn net.Conn, good, reply []byte, id uint16) error {
	for range 5 { // the kernel may have had no room for it
		if _, err := conn.Write(good); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		for {
			n, err := conn.Read(reply)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			if n < 12 || reply[2]&0x80 == 0 {
				return fmt.Errorf("what came is no reply: %x", reply[:n])
			}
			if binary.BigEndian.Uint16(reply) == id {
				if rcode := reply[3] & 15; rcode != dns.RcodeSuccess {
					return fmt.Errorf("a good question is answered %s", dns.RcodeToString[int(rcode)])
				}
				return nil
			}
		}
	}
	return errors.New("a good question got no answer in five tries")
}

// To replies nobody replies, whatever is in them: two servers would talk forever.
func TestNoReplyToReplies(t *testing.T) {
	s := sharedStack(t)
	for i, server := range daemons(s) {
		conn, err := net.Dial("udp", server.Address)
		must(t, err)
		defer conn.Close()
		d := newDamager(uint64(1000 + i))
		good, err := new(dns.Msg).SetQuestion("db.dc1.prd.example.com.", dns.TypeA).Pack()
		must(t, err)
		reply := make([]byte, 65536)
		for round := range 100 {
			for range 100 {
				p := d.packet()
				if len(p) < 12 {
					continue // no header: nothing can be said to it anyhow
				}
				p[2] |= 0x80
				_, err := conn.Write(p)
				must(t, err)
			}
			// The good question is answered after all that was read before it.
			id := uint16(2 * (round + 1))
			binary.BigEndian.PutUint16(good, id)
			_, err := conn.Write(good)
			must(t, err)
			must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
			n, err := conn.Read(reply)
			must(t, err)
			if got := binary.BigEndian.Uint16(reply); got != id {
				t.Fatalf("%s replied to a reply: %x", server.Name, reply[:n])
			}
		}
	}
}
