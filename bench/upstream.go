package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// An Upstream stands in for the recursors behind a cache: a name server of the
// bench's own, because no real one answers after an exact delay, counts each
// question, and can be gone for an exact time. It gives every name one A record,
// for other types NODATA with an SOA. UDP only, on 127.0.0.1.
//
// It has no thread: serve gives it one, and whoever measures latencies calls
// step between packets of its own, so that two threads on one CPU don't delay
// each other's clocks.
type Upstream struct {
	Port  int
	Delay time.Duration // from a question's receipt to its answer
	TTL   uint32        // seconds, of all records

	mu       sync.Mutex
	fd       int // -1 while away
	asked    map[string]int
	waiting  []reply         // by due time
	took     []time.Duration // from question to answer, each
	glimpsed time.Time       // the last of glimpse's answers
	buffer   [1500]byte
}

// A reply is an answer on its way.
type reply struct {
	came time.Time // the question
	to   unix.Sockaddr
	data []byte
}

// newUpstream binds a free port.
func newUpstream(delay time.Duration, ttl uint32) (*Upstream, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	u := &Upstream{Port: port, Delay: delay, TTL: ttl, fd: -1, asked: map[string]int{}}
	return u, u.open()
}

// open binds the port. A server that looks for random ports may hold it for a
// moment, hence the patience.
func (u *Upstream) open() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open upstream: %w", err)
	}
	enlarge(fd)
	for range 200 {
		if err = unix.Bind(fd, &unix.SockaddrInet4{Port: u.Port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
			u.fd = fd
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	unix.Close(fd)
	return fmt.Errorf("open upstream on port %d: %w", u.Port, err)
}

// close leaves the port, as a program that ends does: the kernel tells who asks
// that nobody is there, and what was under way is lost.
func (u *Upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.fd >= 0 {
		unix.Close(u.fd)
	}
	u.fd, u.waiting = -1, nil
}

// enlarge gives the socket a buffer for a whole burst: as much as a privileged
// process may, else what the system allows.
func enlarge(fd int) {
	const size = 16 << 20
	for _, options := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, options[0], size) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, options[1], size)
		}
	}
}

// serve answers until the returned function is called, which waits for the end.
func (u *Upstream) serve() (halt func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			u.wait(u.step(time.Now()))
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// wait sleeps until a question comes or the moment is there, 20 ms at most.
func (u *Upstream) wait(until time.Time) {
	patience := 20 * time.Millisecond
	if !until.IsZero() {
		patience = max(0, min(patience, time.Until(until)))
	}
	u.mu.Lock()
	fds := []unix.PollFd{{Fd: int32(u.fd), Events: unix.POLLIN}} // a negative one is only a sleep
	u.mu.Unlock()
	timeout := unix.NsecToTimespec(int64(patience))
	_, _ = unix.Ppoll(fds, &timeout, nil) // an interruption ends the sleep early, no more
}

// step takes the questions that have come and sends the answers that are due.
// It returns when the next one is.
func (u *Upstream) step(now time.Time) (next time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for range 64 {
		if u.fd < 0 {
			break
		}
		n, from, err := unix.Recvfrom(u.fd, u.buffer[:], unix.MSG_DONTWAIT)
		if err != nil {
			break
		}
		if data := u.answer(u.buffer[:n]); data != nil {
			u.waiting = append(u.waiting, reply{now, from, data})
		}
	}
	sent := 0
	for ; sent < len(u.waiting) && now.Sub(u.waiting[sent].came) >= u.Delay; sent++ {
		r := &u.waiting[sent]
		_ = unix.Sendto(u.fd, r.data, 0, r.to) // who is gone has no use for it
		u.took = append(u.took, now.Sub(r.came))
	}
	u.waiting = u.waiting[sent:]
	if len(u.waiting) == 0 {
		u.waiting = nil
		return time.Time{}
	}
	return u.waiting[0].came.Add(u.Delay)
}

// answer counts the question and composes the reply; nil for what is none.
func (u *Upstream) answer(query []byte) []byte {
	var m dns.Msg
	if err := m.Unpack(query); err != nil || m.Response || len(m.Question) != 1 {
		return nil
	}
	q := m.Question[0]
	u.asked[question(q.Name, q.Qtype)]++
	r := new(dns.Msg).SetReply(&m)
	r.RecursionAvailable, r.Compress = true, true
	if q.Qtype == dns.TypeA {
		a := given(q.Name)
		r.Answer = []dns.RR{&dns.A{Hdr: u.header(q.Name, dns.TypeA), A: a[:]}}
	} else {
		r.Ns = []dns.RR{&dns.SOA{Hdr: u.header(origin+".", dns.TypeSOA), Ns: "ns1." + origin + ".", Mbox: "hostmaster." + origin + ".",
			Serial: 1, Refresh: 3600, Retry: 900, Expire: 604800, Minttl: u.TTL}}
	}
	if m.IsEdns0() != nil {
		r.SetEdns0(1232, false)
	}
	data, err := r.Pack()
	if err != nil {
		return nil
	}
	return data
}

func (u *Upstream) header(name string, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: u.TTL}
}

// question is the key of a count.
func question(name string, t uint16) string {
	return dns.CanonicalName(name) + " " + dns.TypeToString[t]
}

// given is the address that the upstream gives a name; in 10.0.0.0/8.
func given(name string) [4]byte {
	h := fnv.New32a()
	h.Write([]byte(dns.CanonicalName(name)))
	sum := h.Sum32()
	return [4]byte{10, byte(sum >> 16), byte(sum >> 8), byte(sum)}
}

// total is how many questions came for which of holds; nil for all.
func (u *Upstream) total(of func(question string) bool) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for q, times := range u.asked {
		if of == nil || of(q) {
			n += times
		}
	}
	return n
}

// most is how often the most asked of the questions was asked; those that were
// never count as 0.
func (u *Upstream) most(questions []string) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, q := range questions {
		n = max(n, u.asked[q])
	}
	return n
}

// p99 is that of the upstream's own delays: what is asked of it, and what its CPU
// made of that.
func (u *Upstream) p99() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return quantile(u.took, 0.99)
}

// forget begins all counts anew.
func (u *Upstream) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.asked)
	u.took = nil
}

// warm asks every name of the file, and again until a whole pass asks the
// upstream nothing. The upstream must be served meanwhile.
func (u *Upstream) warm(ctx context.Context, set Setting, s *Server, file string, names int64) error {
	var state string
	for range 10 {
		before := u.total(nil)
		o, err := Load{File: file, Clients: 1, Outstanding: 20}.run(ctx, s.Seat.Port, set.LoadCPU)
		if err != nil {
			return err
		}
		asked := u.total(nil) - before
		if o.RCodes["NOERROR"] == names && asked == 0 {
			return nil
		}
		state = fmt.Sprintf("answers %v, %d lost, the upstream was asked %d times", o.RCodes, o.Lost, asked)
	}
	return errors.New("warm up: after ten passes names are still missing from the cache: " + state)
}

// each lists the questions for A of the names.
func each(names []string) []string {
	questions := slices.Clone(names)
	for i, name := range questions {
		questions[i] = question(name, dns.TypeA)
	}
	return questions
}
