package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// An unheard asks for names never heard of and counts who waits.
type unheard struct {
	fds            []int
	query          []byte
	began          time.Time // the first question
	sent, answered int
	most           int // waited at once
	turn           int // the socket read next
	buffer         [4096]byte
}

const (
	unheardSockets = 8
	floodRate      = 55_555          // questions a second of an endless flood: as many wait, for 1.8 s each, as are filled in
	aheadMost      = 1024            // questions sent, but not taken up: the smallest receive buffer holds more
	fillWithin     = 4 * time.Second // all wait, or never will
	markEach       = 64              // questions, then one for a cached name
)

// unheardName has a label of eight octets that each query writes anew.
const unheardName = "00000000.dead.example."

func newUnheard(port int) (*unheard, error) {
	query, err := new(dns.Msg).SetQuestion(unheardName, dns.TypeA).Pack()
	if err != nil {
		return nil, fmt.Errorf("ask for names never heard of: %w", err)
	}
	u := &unheard{query: query}
	for range unheardSockets {
		fd, err := dial(port)
		if err != nil {
			u.close()
			return nil, err
		}
		u.fds = append(u.fds, fd)
	}
	return u, nil
}

func (u *unheard) close() {
	for _, fd := range u.fds {
		unix.Close(fd)
	}
}

func (u *unheard) waiting() int { return u.sent - u.answered }

// step sends what is due by now, sixteen at most, so that the client beside it
// gets its turn.
func (u *unheard) step(_ time.Time, since time.Duration) {
	due := int(since.Seconds() * floodRate)
	for range 16 {
		if u.sent >= due {
			break
		}
		u.send()
	}
	u.drain()
}

// drain takes answers that have come, sixteen at most.
func (u *unheard) drain() {
	for range 16 {
		if _, ok := read(u.fds[u.turn], u.buffer[:]); !ok {
			break
		}
		u.answered++
	}
	u.turn = (u.turn + 1) % unheardSockets
	u.most = max(u.most, u.waiting())
}

func (u *unheard) send() {
	const first = 12 + 1 // behind the header and the label's length
	if u.sent == 0 {
		u.began = time.Now()
	}
	n := u.sent
	for i := first + 7; i >= first; i-- {
		u.query[i] = "0123456789abcdef"[n&15]
		n >>= 4
	}
	binary.BigEndian.PutUint16(u.query, uint16(u.sent))
	write(u.fds[u.sent%unheardSockets], u.query)
	u.sent++
}

// fill asks until so many wait and are known to have been taken up: a cached name is
// asked for behind each few of them, and what is read in order is answered in order.
// Their upstream server shows signs of life meanwhile. Where so many are never had, as
// others are answered before, it ends all the same.
func (u *unheard) fill(count int, known Question, port int, upstream *Upstream) error {
	m, err := newMarks(known, port)
	if err != nil {
		return err
	}
	defer unix.Close(m.fd)
	began := time.Now()
	for now := began; (u.waiting() < count || m.seen < u.sent) && now.Sub(began) < fillWithin; now = time.Now() {
		upstream.glimpse(now)
		for range markEach {
			if u.waiting() < count && u.sent-m.seen < aheadMost {
				u.send()
			}
		}
		m.set(u.sent, now)
		m.look()
		u.drain()
	}
	return nil
}

// Marks are questions for a cached name between the others.
type marks struct {
	fd     int
	query  []byte
	behind []int // how many others had been sent, by the mark's ID
	last   time.Time
	seen   int // of the others, those before a mark that was answered
	buffer [4096]byte
}

const markAgain = 10 * time.Millisecond // should one have been lost

func newMarks(known Question, port int) (*marks, error) {
	fd, err := dial(port)
	if err != nil {
		return nil, err
	}
	return &marks{fd: fd, query: slices.Clone(known.query)}, nil
}

// set marks where the others are, if they are further than the last mark.
func (m *marks) set(sent int, now time.Time) {
	if n := len(m.behind); n == ids || n > 0 && m.behind[n-1] == sent && now.Sub(m.last) < markAgain {
		return
	}
	binary.BigEndian.PutUint16(m.query, uint16(len(m.behind)))
	write(m.fd, m.query)
	m.behind, m.last = append(m.behind, sent), now
}

// look takes the marks' answers.
func (m *marks) look() {
	for {
		n, ok := read(m.fd, m.buffer[:])
		if !ok {
			return
		}
		if id := int(binary.BigEndian.Uint16(m.buffer[:])); n > 2 && id < len(m.behind) {
			m.seen = max(m.seen, m.behind[id])
		}
	}
}

// glimpseEach is how often an upstream server that is about to die answers.
const glimpseEach = 20 * time.Millisecond

// glimpse takes the questions that have come, sixty-four at most, and answers the last
// if it is time for that again.
func (u *Upstream) glimpse(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	last, from := 0, unix.Sockaddr(nil)
	for range 64 {
		n, whose, err := unix.Recvfrom(u.fd, u.buffer[:], unix.MSG_DONTWAIT)
		if err != nil {
			break
		}
		last, from = n, whose
	}
	if last == 0 || now.Sub(u.glimpsed) < glimpseEach {
		return
	}
	if data := u.answer(u.buffer[:last]); data != nil {
		_ = unix.Sendto(u.fd, data, 0, from) // who is gone has no use for it
		u.glimpsed = now
	}
}
