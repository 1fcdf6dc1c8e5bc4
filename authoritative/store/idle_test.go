package store

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A client that has nothing to ask says nothing: etcd takes pings of connections
// without a stream for an attack (too_many_pings), and ends these.
func TestIdleClientDoesNotPing(t *testing.T) {
	t.Parallel()
	address, sent := countingRelay(t, strings.TrimPrefix(member(t).Endpoints()[0], "http://"))
	c := client(t, "http://"+address)
	for _, err := range c.List(t.Context(), []byte{0}, "") {
		t.Fatalf("there is something, or an error: %v", err)
	}
	for before := int64(0); before == 0 || before != sent.Load(); time.Sleep(time.Second) { // acknowledgements
		before = sent.Load()
	}
	before := sent.Load()
	time.Sleep(12 * time.Second) // gRPC pings every ten
	if after := sent.Load(); after != before {
		t.Errorf("%d octets of an idle client", after-before)
	}
}

// countingRelay passes one connection after the other to an address, and counts what clients
// send.
func countingRelay(t *testing.T, to string) (address string, sent *atomic.Int64) {
	t.Helper()
	sent = new(atomic.Int64)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(near, far)
				near.Close()
			}()
			go func() {
				_, _ = io.Copy(far, io.TeeReader(near, counting{sent}))
				far.Close()
			}()
		}
	}()
	return listener.Addr().String(), sent
}

// counting counts what is written.
type counting struct{ n *atomic.Int64 }

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
