package socket

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A handle keeps a descriptor open for as long as somebody uses it: a late reply
// must never go out through a number that meanwhile means another socket.
type handle struct {
	fd, wake int          // wake is an eventfd(2): once written it stays readable
	users    atomic.Int64 // one for being open; below zero after close
	stopped  atomic.Bool
}

// shut is taken off the users on close: nobody enters a number below zero, and
// whoever brings it to -shut was the last.
const shut = 1 << 40

func newHandle(fd int) (*handle, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	h := &handle{fd: fd, wake: wake}
	h.users.Store(1)
	return h, nil
}

// enter reports whether the descriptor may be used, until leave.
func (h *handle) enter() bool {
	for {
		users := h.users.Load()
		if users <= 0 {
			return false
		}
		if h.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

func (h *handle) leave() {
	if h.users.Add(-1) == -shut {
		unix.Close(h.fd)
		unix.Close(h.wake)
	}
}

// stop wakes whoever waits for a datagram, for good.
func (h *handle) stop() {
	if h.stopped.CompareAndSwap(false, true) && h.enter() {
		unix.Write(h.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		h.leave()
	}
}

// close ends the handle; the descriptor is closed by its last user.
func (h *handle) close() {
	h.stop()
	for {
		users := h.users.Load()
		if users <= 0 {
			return
		}
		if h.users.CompareAndSwap(users, users-shut) {
			h.leave()
			return
		}
	}
}

func (h *handle) closed() bool { return h.users.Load() <= 0 }
