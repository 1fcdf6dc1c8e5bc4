package daemon

import (
	"os"
)

// A process is replaced by another without a pause in three steps, the first two
// of which are calls of the new one on the old one's control socket:
//
//	handover sockets NAME   the old one saves what is worth keeping and gives copies of
//	                        all its listening sockets; it goes on as before
//	handover serve ID       said by the new one once it is ready and reads the same
//	                        sockets: the old one lets go of them, gives its
//	                        established connections as each is between two queries,
//	                        drains, and ends
//	                        the new one answers on admin page and control socket
//
// A new one that fails before the second step changes nothing.

// A Listener is a task whose sockets another process can go on with.
type Listener interface {
	// Sockets are copies of the listening sockets, the caller's to close.
	Sockets() ([]*os.File, error)
	// Bequeath is called before Drain: what waits in the sockets is another
	// process's, and so are established connections, by way of heir, which may be
	// nil.
	Bequeath(heir func(conn *os.File) error)
	// Adopt goes on with a connection of another process, if it is one of this
	// listener's.
	Adopt(conn *os.File) (ours bool, err error)
}

// listeners are the tasks that have sockets.
func (d *Daemon) listeners() (all []Listener) {
	for _, task := range d.tasks {
		if l, ok := task.(Listener); ok {
			all = append(all, l)
		}
	}
	return all
}

// OnHandover adds what is to be done before another process takes over, such as
// saving what that one is to read as it starts.
func (d *Daemon) OnHandover(save func() error) { d.saves = append(d.saves, save) }
