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
