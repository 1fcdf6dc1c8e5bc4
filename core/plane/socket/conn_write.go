package socket

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// put appends a reply to what is to be written. A client that doesn't take its
// replies loses its connection, and reports false.
func (c *conn) put(reply []byte) bool {
	if len(reply) > maxMessageTCP {
		return false
	}
	defer c.drop() // last: settle must find the query or its reply
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	if c.over(reply) {
		c.push() // perhaps it only was not given the chance
	}
	if c.dead {
		return false
	}
	if c.over(reply) {
		c.tcp.counters.slow.Add(1)
		c.end()
		return false
	}
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(reply)))
	c.out = append(c.out, reply...)
	return true
}

// over tells whether one reply more would be too much to keep for the client.
func (c *conn) over(reply []byte) bool {
	return len(c.out)+c.writing+2+len(reply) > c.tcp.options.Unsent
}

// flush sends what has been put.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push()
}

// push writes what the client's window takes at once, and leaves the rest to a
// goroutine that may wait for it.
func (c *conn) push() {
	if c.dead || c.writing > 0 || len(c.out) == 0 {
		return
	}
	c.lively.Store(int64(time.Since(started)))
	if c.raw != nil {
		c.wrote = 0
		if err := c.raw.Write(c.attempt); err != nil {
			c.end()
			return
		}
		c.out = c.out[:copy(c.out, c.out[c.wrote:])]
	}
	if len(c.out) == 0 {
		c.trim()
		c.note()
		return
	}
	c.writing = len(c.out)
	c.tcp.all.Go(c.write)
}

// tryWrite writes without waiting. Errors are left to the goroutine that reads.
func (c *conn) tryWrite(fd uintptr) bool {
	for c.wrote < len(c.out) {
		n, err := unix.Write(int(fd), c.out[c.wrote:])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		c.wrote += n
	}
	return true
}

// keptOut is how large a buffer an idle connection keeps, octets.
const keptOut = 4 << 10

func (c *conn) trim() {
	if cap(c.out) > keptOut {
		c.out = nil
	}
}

// write sends what has been put until nothing is left, in the time it may take.
func (c *conn) write() {
	for {
		c.mu.Lock()
		buffer := c.out
		c.out, c.writing = nil, len(buffer)
		done := c.dead || len(buffer) == 0
		if done {
			c.nc.SetWriteDeadline(time.Time{}) // flush writes without one
		}
		c.mu.Unlock()
		if done {
			c.note()
			return
		}
		c.nc.SetWriteDeadline(time.Now().Add(c.tcp.options.Write))
		_, err := c.nc.Write(buffer)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.tcp.counters.slow.Add(1)
			}
			c.kill()
			return
		}
		c.lively.Store(int64(time.Since(started)))
	}
}

// unsent is how many octets wait for the client.
func (c *conn) unsent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return 0
	}
	return len(c.out) + c.writing
}

func (c *conn) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// kill closes the connection, whoever reads or writes it.
func (c *conn) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
}

func (c *conn) end() {
	if c.dead {
		return
	}
	c.dead = true
	c.out = nil
	if secured, ok := c.nc.(*tls.Conn); ok {
		secured.NetConn().Close() // without the farewell, which may block
	} else {
		c.nc.Close()
	}
	select {
	case c.settled <- struct{}{}:
	default:
	}
}
