package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/strata-dns/strata/core/daemon/control"
)

// An offer is what the old process says of itself and of the files it sends.
type offer struct {
	Name  string   `json:"name"`
	ID    string   `json:"id"` // of the process, as its PID may mean another in a container
	PID   int      `json:"pid"`
	Kept  bool     `json:"kept"`  // the service manager has the sockets, too
	Kinds []string `json:"kinds"` // of the files, in order: listen, admin, control
}

const (
	listenKind  = "listen"
	adminKind   = "admin"
	controlKind = "control"
)

// An heir is the new process as the old one sees it.
type heir struct {
	mu    sync.Mutex
	call  *control.Call
	ended chan struct{} // closed when the daemon has drained
	told  chan struct{} // closed when the heir has been told that all is given
}

// give passes a connection on.
func (h *heir) give(conn *os.File) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.call.SendFiles("", conn)
}

func (d *Daemon) commandHandover(ctx context.Context, call *control.Call) error {
	if len(call.Args) != 2 {
		return errors.New("handover: this is how another process takes over: start it with --takeover")
	}
	switch call.Args[0] {
	case "sockets":
		return d.offer(call)
	case "serve":
		return d.handOver(ctx, call)
	}
	return fmt.Errorf("handover: no step %q", call.Args[0])
}

// offer gives copies of the sockets.
func (d *Daemon) offer(call *control.Call) error {
	switch name := call.Args[1]; {
	case name != d.name:
		return fmt.Errorf("handover: this is a %s, no %s", d.name, name)
	case d.phase.Load() != running || d.taking():
		return errors.New("handover: the daemon is starting or draining")
	}
	for _, save := range d.saves {
		if err := save(); err != nil {
			d.log.Warn("handover", "error", err)
		}
	}
	o := offer{Name: d.name, ID: d.id, PID: os.Getpid(), Kept: d.Kept()}
	files, err := d.copies(&o)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	d.keep() // from here on another process may be reading them
	return call.SendFiles(string(text)+"\n", files...)
}

// copies makes copies of all sockets and notes their kinds. What it returns is to
// be closed, also with an error.
func (d *Daemon) copies(o *offer) (files []*os.File, err error) {
	add := func(kind string, more ...*os.File) {
		for range more {
			o.Kinds = append(o.Kinds, kind)
		}
		files = append(files, more...)
	}
	for _, l := range d.listeners() {
		sockets, err := l.Sockets()
		if err != nil {
			return files, err
		}
		add(listenKind, sockets...)
	}
	if d.page.Addr() != nil {
		socket, err := d.page.Socket()
		if err != nil {
			return files, err
		}
		add(adminKind, socket)
	}
	socket, err := d.socket.Load().Socket()
	if err != nil {
		return files, err
	}
	add(controlKind, socket)
	return files, nil
}

// keep leaves what waits in the sockets to another process.
func (d *Daemon) keep() {
	d.giving.Lock()
	defer d.giving.Unlock()
	if d.heir != nil { // who gets the connections, too
		return
	}
	for _, l := range d.listeners() {
		l.Bequeath(nil)
	}
}

// What the old process answers to the second step.
const (
	released = "released\n" // the sockets are yours
	late     = "late\n"     // it was ending by itself: the sockets are yours all the same
	given    = "given\n"    // and these were all connections
	taken    = "taken\n"    // another one was first
)

// handOver ends the daemon in favour of who calls.
func (d *Daemon) handOver(ctx context.Context, call *control.Call) error {
	if call.Args[1] != d.id {
		return errors.New("handover: another process was first")
	}
	h := &heir{call: call, ended: make(chan struct{}), told: make(chan struct{})}
	if refusal := d.accept(h); refusal != "" {
		call.Printf("%s", refusal)
		return nil
	}
	close(d.succeeded)
	select {
	case <-h.ended:
	case <-ctx.Done():
	}
	h.mu.Lock() // nobody gives any more
	defer h.mu.Unlock()
	call.Printf("%s", given)
	_ = call.Flush() // if it is gone, nobody can be told
	close(h.told)
	return nil
}

// accept notes the heir, or says why there can be none.
func (d *Daemon) accept(h *heir) (refusal string) {
	d.giving.Lock()
	defer d.giving.Unlock()
	switch {
	case d.heir != nil:
		return taken
	case d.phase.Load() != running:
		return late
	}
	d.heir = h
	return ""
}

// bequeath lets go of the sockets, if there is an heir.
func (d *Daemon) bequeath() {
	d.giving.Lock()
	h := d.heir
	d.giving.Unlock()
	if h == nil {
		d.store()
		return
	}
	d.log.Info("another process takes over")
	if d.page.Addr() != nil {
		d.page.Leave()
	}
	d.socket.Load().Leave()
	h.mu.Lock()
	h.call.Printf("%s", released)
	_ = h.call.Flush() // if it is gone, nobody can be told
	h.mu.Unlock()
	for _, l := range d.listeners() {
		l.Bequeath(h.give)
	}
}

// store gives established connections to a service manager that keeps the
// listening sockets, for the next process (FileDescriptorStoreMax=).
func (d *Daemon) store() {
	if len(Inherited()) == 0 || os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	for _, l := range d.listeners() {
		l.Bequeath(storeConnection)
	}
}

// bequeathed tells the heir that all is given.
func (d *Daemon) bequeathed() {
	d.giving.Lock()
	h := d.heir
	d.giving.Unlock()
	if h != nil {
		close(h.ended)
		<-h.told
	}
}
