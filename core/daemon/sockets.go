package daemon

import (
	"os"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
)

// Sockets are the file descriptors that a service manager opened for this
// process, in its order. Each file's Name is its FileDescriptorName=.
type Sockets []*os.File

// inherited reads the environment once: it is cleared then, lest a child takes
// our descriptors for its own.
var inherited = sync.OnceValue(func() Sockets { return activation.Files(true) })

// Inherited returns the sockets of socket activation (sd_listen_fds(3)), none
// when started by hand. They stay the caller's to close; repeated calls return
// the same files.
func Inherited() Sockets { return inherited() }

// Sockets are those that the daemon goes on with: of socket activation, or else of
// the process it takes over from. Connections among them are established ones of a
// process before us.
func (d *Daemon) Sockets() Sockets {
	if given := Inherited(); len(given) > 0 || d.old == nil {
		return given
	}
	return d.old.listen
}

// Kept tells whether the Sockets are the service manager's, which goes on having
// them when we have ended.
func (d *Daemon) Kept() bool { return len(Inherited()) > 0 || d.old != nil && d.old.Kept }

// letGo closes the sockets that were taken over, once listeners have copies.
func (d *Daemon) letGo() {
	if d.old != nil {
		for _, f := range d.old.listen {
			f.Close()
		}
	}
}

// Named returns the sockets with the given name.
func (s Sockets) Named(name string) Sockets {
	var named Sockets
	for _, file := range s {
		if file.Name() == name {
			named = append(named, file)
		}
	}
	return named
}
