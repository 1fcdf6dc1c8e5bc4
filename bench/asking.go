package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// An Asking is an open-loop client: it asks at moments fixed beforehand, whether
// earlier answers have come or not, and takes every single latency. dnsperf
// prints latencies too, but at the rates of a half-loaded server the printing
// itself is what it measures.
//
// It keeps its thread busy the whole time: a sleeping client would be woken late
// and call that the server's latency.
type Asking struct {
	Questions []Question
	Count     int           // of queries; the questions are asked over again
	Rate      int           // queries a second; 0: one after another without a pause
	Sockets   int           // query n leaves over socket n modulo this
	Patience  time.Duration // how long an answer is waited for
	// Doze has the client sleep until the next packet or moment, and this process run
	// before all others on its CPU (SCHED_FIFO, for root alone): what else the CPU does is
	// not held up by a busy client, nor the client by that.
	Doze bool
	// Beside is called between packets; may be nil. The time is since the start.
	Beside func(now time.Time, since time.Duration)
}

// A Question is a query in wire form, but for its ID, and what answers it.
type Question struct {
	query   []byte
	address [4]byte // of the A record wanted
}

// Waits are what the client saw.
type Waits struct {
	Asked      int
	Latencies  []time.Duration // of the right answers, sorted
	Failed     int             // answers that were wrong or no help: SERVFAIL and the like
	Unanswered int             // within the patience, or before so many more were asked that IDs ran out
	Late       time.Duration   // how far behind its moments the client itself was, at worst
	Seconds    float64         // from the first query to the last answer
}

// all are the latencies and, for each query without an answer, the patience: a
// server must not look quick by what it lost.
func (w Waits) all(patience time.Duration) []time.Duration {
	return slices.Concat(w.Latencies, slices.Repeat([]time.Duration{patience}, w.Unanswered))
}

// newQuestion asks for a name's A record. The answer must hold the address.
func newQuestion(name string, address [4]byte) (Question, error) {
	query, err := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).Pack()
	if err != nil {
		return Question{}, fmt.Errorf("ask for %s: %w", name, err)
	}
	return Question{query, address}, nil
}

// questions asks for what the bench's own upstream gives.
func questions(names []string) ([]Question, error) {
	list := make([]Question, len(names))
	for i, name := range names {
		var err error
		if list[i], err = newQuestion(name, given(dns.Fqdn(name))); err != nil {
			return nil, err
		}
	}
	return list, nil
}

const ids = 1 << 16

// An asker is an Asking under way. A query's ID is its number's lower 16 bits.
type asker struct {
	Asking
	Waits
	fds     []int
	sent    [ids]time.Time // zero: no such query is waited for
	oldest  int            // no query before this one is waited for
	pending int
	query   []byte
	buffer  [4096]byte
}

// run asks the server on the port until all is answered or given up.
func (a Asking) run(port int) (Waits, error) {
	r := &asker{Asking: a, query: make([]byte, 0, 512)}
	r.Latencies = make([]time.Duration, 0, a.Count)
	defer r.close()
	for range max(1, a.Sockets) {
		fd, err := dial(port)
		if err != nil {
			return Waits{}, err
		}
		r.fds = append(r.fds, fd)
	}
	// Nothing is to stop this thread: the heap can wait for some seconds, and so can
	// other goroutines. The runtime has one processor here, as the CPU is one; whoever
	// gets that, at a preemption, and blocks in the kernel keeps it for some 20 ms.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if a.Doze {
		back, err := goFirst()
		if err != nil {
			return Waits{}, err
		}
		defer back()
	}
	r.loop()
	slices.Sort(r.Latencies)
	return r.Waits, nil
}

func (r *asker) close() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
}

func dial(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open a client socket: %w", err)
	}
	enlarge(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect a client socket: %w", err)
	}
	return fd, nil
}

func (r *asker) loop() {
	begin := time.Now()
	last := begin
	for r.Asked < r.Count || r.pending > 0 {
		now := time.Now()
		for _, fd := range r.fds {
			for range 16 {
				if !r.receive(fd) {
					break
				}
				last = now
			}
		}
		if r.Beside != nil {
			r.Beside(now, now.Sub(begin))
		}
		if due := begin.Add(r.moment(r.Asked)); r.Asked < r.Count && !now.Before(due) {
			if r.Rate > 0 {
				r.Late = max(r.Late, now.Sub(due))
			}
			r.send()
		}
		r.give(now)
		if r.Doze {
			r.doze(begin)
		}
	}
	r.Seconds = last.Sub(begin).Seconds()
}

// moment is when the n-th query is due, from the start.
func (r *asker) moment(n int) time.Duration {
	if r.Rate == 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(r.Rate) * float64(time.Second))
}

func (r *asker) send() {
	id := r.Asked % ids
	if !r.sent[id].IsZero() { // two with one ID could not be told apart
		r.forgo(id)
	}
	r.query = append(r.query[:0], r.Questions[r.Asked%len(r.Questions)].query...)
	binary.BigEndian.PutUint16(r.query, uint16(id))
	r.sent[id] = time.Now()
	fd := r.fds[r.Asked%len(r.fds)]
	// A full or refused socket is a query without an answer: it will be given up.
	write(fd, r.query)
	r.Asked++
	r.pending++
}

// forgo the answer to the query with this ID.
func (r *asker) forgo(id int) {
	r.sent[id] = time.Time{}
	r.Unanswered++
	r.pending--
}

// read and write are raw system calls: Go's monitor thread would take the
// processor away from a thread that makes so many of the others.
func read(fd int, buffer []byte) (n int, ok bool) {
	r, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
	return int(r), errno == 0
}

func write(fd int, data []byte) {
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
}

// receive takes one answer; false if there is none.
func (r *asker) receive(fd int) bool {
	n, ok := read(fd, r.buffer[:])
	if !ok {
		return false
	}
	if n < 12 {
		return true
	}
	message := r.buffer[:n]
	id := binary.BigEndian.Uint16(message)
	began := r.sent[id]
	number := r.number(id)
	if began.IsZero() || number < 0 {
		return true // given up already, or never asked
	}
	r.sent[id] = time.Time{}
	r.pending--
	if r.Questions[number%len(r.Questions)].answeredBy(message) {
		r.Latencies = append(r.Latencies, time.Since(began))
	} else {
		r.Failed++
	}
	return true
}

// number is the last query that had the ID.
func (r *asker) number(id uint16) int {
	n := (r.Asked-1)&^(ids-1) | int(id)
	if n >= r.Asked {
		n -= ids
	}
	return n
}

// answeredBy reports whether the message is this question's right answer.
func (q Question) answeredBy(message []byte) bool {
	if len(message) < len(q.query) || message[2]&0x80 == 0 || message[3]&0x0f != dns.RcodeSuccess {
		return false
	}
	asked, rest := message[12:len(q.query)], message[len(q.query):]
	return bytes.Equal(asked, q.query[12:]) && bytes.Contains(rest, q.address[:])
}

// give up those queries whose patience is over, oldest first.
func (r *asker) give(now time.Time) {
	for ; r.oldest < r.Asked; r.oldest++ {
		began := r.sent[r.oldest%ids]
		switch {
		case began.IsZero():
		case now.Sub(began) < r.Patience:
			return
		default:
			r.forgo(r.oldest % ids)
		}
	}
}
