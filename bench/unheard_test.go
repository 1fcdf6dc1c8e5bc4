package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A flood asks for a new name with each query, and who is not answered waits.
func TestFlood(t *testing.T) {
	up := upstreamFor(t, 0)
	u, err := newUnheard(up.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	const due, at = 100, (100*time.Second + time.Second/2) / floodRate
	for range 10 {
		u.step(time.Now(), at)
	}
	if u.sent != due || u.most != due {
		t.Errorf("sent %d, %d waited, want %d", u.sent, u.most, due)
	}
	up.step(time.Now())
	up.step(time.Now())
	if n := up.total(nil); n != due || up.most([]string{"00000063.dead.example. A"}) != 1 {
		t.Errorf("the upstream knows %d questions, %v", n, up.asked)
	}
	for range 10 * unheardSockets {
		u.step(time.Now(), at)
	}
	if u.answered != due || u.waiting() != 0 || u.most != due {
		t.Errorf("%d of %d were answered, %d waited", u.answered, due, u.most)
	}
}

// fill has exactly so many wait, in place of those that the dying upstream answers too, and
// all of them were taken up.
func TestFill(t *testing.T) {
	const count = 3000
	up := upstreamFor(t, 0)
	list, err := questions(hostNames(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	f := forwarderTo(t, up.Port)
	u, err := newUnheard(f.port)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	if err := u.fill(count, list[0], f.port, up); err != nil {
		t.Fatal(err)
	}
	if u.waiting() != count {
		t.Errorf("%d wait, want %d", u.waiting(), count)
	}
	if n := int(f.taken.Load()); n != u.sent {
		t.Errorf("%d questions of %d were taken up", n, u.sent)
	}
	// One that the upstream has given may be on its way still.
	for deadline := time.Now().Add(10 * time.Second); (u.answered == 0 || up.total(nil) != u.answered) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		u.drain()
	}
	if n := up.total(nil); n == 0 || n != u.answered {
		t.Errorf("the upstream gave %d answers, %d came", n, u.answered)
	}
}

// A forwarder answers for cached names at once, and asks on for others: by their ID, which
// must be of one each.
type forwarder struct {
	port  int
	taken atomic.Int64 // questions asked on
}

func forwarderTo(t *testing.T, port int) *forwarder {
	t.Helper()
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{port: server.LocalAddr().(*net.UDPAddr).Port}
	var askers [ids]atomic.Pointer[netip.AddrPort]
	var running sync.WaitGroup
	t.Cleanup(func() { server.Close(); upstream.Close(); running.Wait() })
	_ = server.SetReadBuffer(16 << 20) // or what the system allows
	running.Go(func() {
		var buffer [512]byte
		for {
			n, from, err := server.ReadFromUDPAddrPort(buffer[:])
			if err != nil {
				return
			}
			if !bytes.Contains(buffer[:n], []byte("dead")) {
				buffer[2] |= 0x80
				_, _ = server.WriteToUDPAddrPort(buffer[:n], from) // a lost mark is set again
				continue
			}
			f.taken.Add(1)
			askers[binary.BigEndian.Uint16(buffer[:])].Store(&from)
			_, _ = upstream.Write(buffer[:n]) // a lost one waits, as it should
		}
	})
	running.Go(func() {
		var buffer [512]byte
		for {
			n, err := upstream.Read(buffer[:])
			if err != nil {
				return
			}
			if from := askers[binary.BigEndian.Uint16(buffer[:])].Load(); from != nil {
				_, _ = server.WriteToUDPAddrPort(buffer[:n], *from)
			}
		}
	})
	return f
}
