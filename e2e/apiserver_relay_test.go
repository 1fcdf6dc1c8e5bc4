package e2e

import (
	"io"
	"net"
	"sync"
)

// A deafness is a TCP relay to a server, in which the server's words can be held back,
// on all connections, those to come among them.
type deafness struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu     sync.Mutex
	thawed *sync.Cond
	frozen bool
	closed bool
	conns  []net.Conn
}

func relayTo(address string) (*deafness, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &deafness{listener: listener, to: address}
	d.thawed = sync.NewCond(&d.mu)
	d.running.Go(d.accept)
	return d, nil
}

func (d *deafness) address() string { return d.listener.Addr().String() }

func (d *deafness) accept() {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", d.to)
		if err != nil {
			client.Close()
			continue
		}
		d.mu.Lock()
		d.conns = append(d.conns, client, server)
		if d.closed {
			client.Close()
			server.Close()
		}
		d.mu.Unlock()
		d.running.Go(func() {
			_, _ = io.Copy(server, client)
			server.Close()
		})
		d.running.Go(func() {
			defer client.Close()
			buffer := make([]byte, 64<<10)
			for {
				n, err := server.Read(buffer)
				d.wait()
				if _, failed := client.Write(buffer[:n]); failed != nil || err != nil {
					return
				}
			}
		})
	}
}

// wait waits until the server may be heard.
func (d *deafness) wait() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.frozen && !d.closed {
		d.thawed.Wait()
	}
}

func (d *deafness) freeze() { d.set(true) }
func (d *deafness) thaw()   { d.set(false) }

func (d *deafness) set(frozen bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen = frozen
	d.thawed.Broadcast()
}

func (d *deafness) close() {
	d.mu.Lock()
	d.closed = true
	for _, conn := range d.conns {
		conn.Close()
	}
	d.thawed.Broadcast()
	d.mu.Unlock()
	d.listener.Close()
	d.running.Wait()
}
