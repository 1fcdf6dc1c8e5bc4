package cache

import (
	"cmp"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// A scene is a cache and an upstream that the test speaks for.
type scene struct {
	t *testing.T
	*Cache
	mu    sync.Mutex
	calls []call
}

type call struct {
	Question
	done func([]byte, error)
}

// play runs a test in a bubble with a clock of its own.
func play(t *testing.T, o Options, story func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, o)
		defer s.Close()
		story(s)
	})
}

func open(t *testing.T, o Options) *scene {
	t.Helper()
	s := &scene{t: t}
	o.Size = cmp.Or(o.Size, 1<<20)
	o.Fetch = func(q *Question, done func([]byte, error)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, call{*q, done})
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Cache = c
	return s
}

// next is the one question that has gone upstream since the last one.
func (s *scene) next() call {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) != 1 {
		s.t.Fatalf("%d questions upstream, want 1", len(s.calls))
	}
	c := s.calls[0]
	s.calls = nil
	return c
}

// quiet checks that nothing has gone upstream.
func (s *scene) quiet() {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) != 0 {
		s.t.Fatalf("%d questions upstream, want none", len(s.calls))
	}
}

// answer is a reply to the call with the given records, as in a zone file: those
// behind "AUTHORITY" and "ADDITIONAL" go there.
func (c call) answer(records ...string) { c.done(message(c.Question, 0, records...), nil) }

func (c call) nxdomain(records ...string) {
	c.done(message(c.Question, dns.RcodeNameError, records...), nil)
}

func (c call) servfail() { c.done(message(c.Question, dns.RcodeServerFailure), nil) }
func (c call) fail()     { c.done(nil, errors.New("network is down")) }

func message(q Question, rcode int, records ...string) []byte {
	m := new(dns.Msg)
	m.Response, m.RecursionDesired, m.RecursionAvailable, m.Compress = true, true, true, true
	m.Id, m.Rcode = 4711, rcode
	m.Question = []dns.Question{{Name: wire.NameString(q.Name), Qtype: q.Type, Qclass: q.Class}}
	section := &m.Answer
	for _, r := range records {
		switch r {
		case "AUTHORITY":
			section = &m.Ns
		case "ADDITIONAL":
			section = &m.Extra
		case "AD":
			m.AuthenticatedData = true
		default:
			rr, err := dns.NewRR(r)
			if err != nil {
				panic(err)
			}
			*section = append(*section, rr)
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// A mailbox is a Waiter.
type mailbox chan []byte

func (m mailbox) Deliver(reply []byte, _ State) { m <- append([]byte(nil), reply...) }

// A query is one packet and how it was parsed.
type query struct {
	wire.Query
	data []byte
}

type option func(*dns.Msg)

func withDO(m *dns.Msg)    { m.SetEdns0(1232, true) }
func withEDNS(m *dns.Msg)  { m.SetEdns0(1232, false) }
func withAD(m *dns.Msg)    { m.AuthenticatedData = true }
func withCD(m *dns.Msg)    { m.CheckingDisabled = true }
func withoutRD(m *dns.Msg) { m.RecursionDesired = false }

func newQuery(t testing.TB, name string, typ uint16, options ...option) *query {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	for _, o := range options {
		o(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := &query{data: make([]byte, len(b), 4096)}
	copy(q.data, b)
	if o := q.Parse(q.data); o != wire.Valid {
		t.Fatalf("query for %s: outcome %d", name, o)
	}
	return q
}

// ask asks memory alone.
func (s *scene) ask(name string, typ uint16, options ...option) (*dns.Msg, State) {
	s.t.Helper()
	q := newQuery(s.t, name, typ, options...)
	b, state := s.Answer(&q.Query, q.data, q.Limit(false, 1232), s.Now())
	if state == Miss {
		return nil, Miss
	}
	return unpack(s.t, b), state
}

// wait asks as a binary does, memory first.
func (s *scene) wait(name string, typ uint16, options ...option) mailbox {
	s.t.Helper()
	q := newQuery(s.t, name, typ, options...)
	box := make(mailbox, 2)
	if b, state := s.Answer(&q.Query, q.data, q.Limit(false, 1232), s.Now()); state != Miss {
		box.Deliver(b, state)
		return box
	}
	s.Wait(&q.Query, q.data, q.Limit(false, 1232), s.Now(), box)
	for i := range q.data { // the packet is the plane's again
		q.data[i] = 0xee
	}
	return box
}

// reply is what has been delivered by now.
func (s *scene) reply(box mailbox) *dns.Msg {
	s.t.Helper()
	synctest.Wait()
	select {
	case b := <-box:
		return unpack(s.t, b)
	default:
		s.t.Fatal("no reply was delivered")
		return nil
	}
}

// silent checks that nothing (more) has been delivered.
func (s *scene) silent(box mailbox) {
	s.t.Helper()
	synctest.Wait()
	select {
	case b := <-box:
		s.t.Fatalf("a reply was delivered: %v", unpack(s.t, b))
	default:
	}
}

// fill stores an answer.
func (s *scene) fill(name string, typ uint16, records ...string) {
	s.t.Helper()
	box := s.wait(name, typ)
	s.next().answer(records...)
	s.reply(box)
}

func unpack(t testing.TB, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("reply %x: %v", b, err)
	}
	return m
}

// ede is the extended error of a reply, -1 for none.
func ede(m *dns.Msg) int {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode)
			}
		}
	}
	return -1
}

func ttlOf(m *dns.Msg) uint32 {
	return append(append([]dns.RR{}, m.Answer...), m.Ns...)[0].Header().Ttl
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// rawQuery parses a packet for a name in wire form.
func rawQuery(q *wire.Query, buf []byte, id uint16, name []byte, typ uint16) []byte {
	b := wire.AppendQuery(buf[:0], id, wire.FlagRD, name, typ, wire.ClassIN, nil)
	if q.Parse(b) != wire.Valid {
		panic("query")
	}
	return b
}

// addressReply is upstream's answer with one A record.
func addressReply(q *Question, ttl uint32, address uint32) []byte {
	b := wire.AppendQuery(nil, 1, wire.FlagQR|wire.FlagRD|wire.FlagRA, q.Name, q.Type, q.Class, nil)
	b[7] = 1
	b = append(b, 0xc0, 12)
	b = binary.BigEndian.AppendUint16(b, q.Type)
	b = binary.BigEndian.AppendUint16(b, q.Class)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = append(b, 0, 4)
	return binary.BigEndian.AppendUint32(b, address)
}
