package hosts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxFrame is the largest frame: veth hands segments over uncut.
const maxFrame = 65536 + 64

// A relay copies frames between two interfaces, each after a time of its own.
type relay struct {
	ends        [2]*os.File // packet sockets
	least, most time.Duration
	copying     sync.WaitGroup
}

// newRelay begins to relay between two interfaces of a namespace.
func newRelay(s *space, a, b string, least, most time.Duration) (*relay, error) {
	r := &relay{least: least, most: most}
	err := s.visit(func() (err error) {
		for i, name := range []string{a, b} {
			if r.ends[i], err = frames(name); err != nil {
				return fmt.Errorf("open %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		r.close()
		return nil, err
	}
	r.copying.Go(func() { r.copy(r.ends[1], r.ends[0]) })
	r.copying.Go(func() { r.copy(r.ends[0], r.ends[1]) })
	return r, nil
}

// frames opens a socket for all frames that an interface receives (packet(7)).
// Every frame has a virtio header in front, by which the receiver learns what was
// left for hardware to do: checksums and segmentation.
func frames(name string) (*os.File, error) {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) // in network order
	// Protocol 0: nothing is received before it is bound.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1)
		}
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: device.Index})
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (r *relay) close() {
	for _, end := range r.ends {
		if end != nil {
			end.Close()
		}
	}
	r.copying.Wait()
}

// copy copies in one direction until the relay is closed. Frames that cannot be
// sent are lost, as they would be on a wire.
func (r *relay) copy(to, from *os.File) {
	buffer := make([]byte, maxFrame)
	for {
		n, err := from.Read(buffer)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil { // such as the interface having gone down
			time.Sleep(time.Millisecond)
			continue
		}
		frame := append([]byte(nil), buffer[:n]...)
		time.AfterFunc(r.least+rand.N(r.most-r.least+1), func() { _, _ = to.Write(frame) })
	}
}
