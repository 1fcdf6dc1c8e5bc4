package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/plane"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// Memory bounds what is held of zones from etcd.
type Memory struct {
	MaxNames int `mapstructure:"max_names"` // 0: all
}

// What a server takes on beside what it has in memory.
const (
	maxReads    = 512                     // of etcd at a time
	maxWaiting  = 8192                    // queries that wait for them
	maxHops     = 24                      // reads for one query: aliases, and names that changed meanwhile
	readBudget  = 1800 * time.Millisecond // of a query
	awayBudget  = 300 * time.Millisecond  // while etcd is said to be away
	errorText   = "not in memory, and etcd did not answer"
	crowdedText = "not in memory, and too many wait for etcd"
)

// bounded keeps at most so many names of etcd's zones in memory, taken out by chance, and
// reads the others from etcd when they are asked for: each once at a time, however many
// ask. The watch goes on as without; what it says of names that are not in memory is only
// heard by those who are just being told of them.
type bounded struct {
	s      *server
	most   int
	log    *slog.Logger
	reader *zone.Reader   // used within updates of the table, as are:
	front  []*zone.Reader // of the views
	held   int            // names that may be taken out
	torn   [][]byte       // see mend; of the calls of the watch

	shown atomic.Int64 // held, as of the last time it was looked at

	pass atomic.Uint32 // of the full sync under way, 0: none

	mu      sync.Mutex
	names   map[string]*awaited
	reads   int // in the air
	waiting int

	answered, failed, crowded, etcd, evicted atomic.Uint64
}

// An awaited name is one that queries wait for, or were told of while they wait for another.
type awaited struct {
	users   int
	reading bool
	waiters []*waiter
	changed int64 // etcd's revision of the last change that the watch told of
}

// A waiter is a query that is answered late.
type waiter struct {
	query  []byte // as it came
	client netip.AddrPort
	stream bool
	front  int // place of its view's reader, -1: everybody's
	to     plane.Return
	late   plane.Queue
	until  time.Time
	hops   int
	told   map[string]told // by name
}

// told is what was read of a name, and the revision that the table was of before.
type told struct {
	store.Reach
	since int64
}

func newBounded(s *server, most int) *bounded {
	return &bounded{s: s, most: most, log: s.log, reader: s.table.NewReader(), names: map[string]*awaited{}}
}

// take has a query answered later, whose answer needs a name that is not in memory. It
// says whether it will be; query is as it came.
func (b *bounded) take(p *plane.Packet, query []byte, front int, late plane.Queue, name, apex []byte) bool {
	w := &waiter{
		query: append([]byte(nil), query...), client: p.Client, stream: p.Stream, front: front, to: p.Return, late: late,
		until: time.Now().Add(readBudget), told: map[string]told{},
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting >= maxWaiting || !b.await(w, string(name), string(apex), false) {
		b.crowded.Add(1)
		return false
	}
	b.waiting++
	return true
}

// await has a waiter wait for a name, and the name read. b.mu is held.
func (b *bounded) await(w *waiter, name, apex string, now bool) bool {
	a := b.names[name]
	if a == nil {
		a = &awaited{}
	}
	if !a.reading && b.reads >= maxReads {
		return false
	}
	b.names[name] = a
	if _, ok := w.told[name]; !ok {
		a.users++
		w.told[name] = told{}
	}
	a.waiters = append(a.waiters, w)
	if !a.reading {
		a.reading = true
		b.reads++
		go b.read(name, apex, now)
	}
	return true
}

// read reads a name, and answers those who wait for it or has them wait for another.
func (b *bounded) read(name, apex string, now bool) {
	since := b.s.sink.revision.Load()
	budget := readBudget
	if !b.s.watcher.Connected() {
		budget = awayBudget
	}
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	b.etcd.Add(1)
	reach, err := b.s.client.Reach(ctx, []byte(name), []byte(apex), now)
	b.mu.Lock()
	a := b.names[name]
	a.reading = false
	b.reads--
	waiters := a.waiters
	a.waiters = nil
	b.mu.Unlock()
	if err != nil {
		b.log.Debug("name not read from etcd", "name", wire.NameString([]byte(name)), "error", err)
	}
	for _, w := range waiters {
		w.hops++
		w.told[name] = told{reach, since}
	}
	b.answer(waiters, err)
}

// answer answers waiters, whom the last they were told of has just come.
func (b *bounded) answer(waiters []*waiter, failed error) {
	replies := make([][]byte, len(waiters))
	type missing struct {
		name, apex string
		now        bool
	}
	next := make([]*missing, len(waiters))
	if failed == nil {
		err := b.s.table.Update(func(tx *zone.Tx) error {
			tx.Mark(zone.Pass(b.pass.Load()))
			for i, w := range waiters {
				if name := b.stale(w); name != "" {
					z := tx.ZoneOf([]byte(name))
					if z == nil {
						continue
					}
					next[i] = &missing{name, string(z.Apex), true}
					continue
				}
				if err := b.bring(tx, w); err != nil {
					b.log.Warn("name read from etcd not taken", "error", err)
					continue
				}
				reply, unread, apex := b.try(w)
				if replies[i] = reply; reply == nil {
					next[i] = &missing{string(unread), string(apex), false}
				}
			}
			return b.evict(tx)
		})
		if err != nil {
			b.log.Error("bounded memory", "error", err)
		}
	}
	for i, w := range waiters {
		if n := next[i]; n != nil && w.hops < maxHops && time.Now().Before(w.until) {
			b.mu.Lock()
			again := b.await(w, n.name, n.apex, n.now)
			b.mu.Unlock()
			if again {
				continue
			}
		}
		b.finish(w, replies[i])
	}
}

// stale gives a name that a waiter was told of and that has changed since, or that was
// read of a member of etcd which is behind the table; "" where all is well. It is called
// within an update, so that the watch tells of nothing meanwhile.
func (b *bounded) stale(w *waiter) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, t := range w.told {
		if t.Revision < t.since || b.names[name].changed > t.Revision {
			return name
		}
	}
	return ""
}

// bring puts what a waiter was told of into the table, where it is not there.
func (b *bounded) bring(tx *zone.Tx, w *waiter) error {
	for name, t := range w.told {
		if len(t.Records) == 0 || tx.Holds([]byte(name)) {
			continue
		}
		if err := b.s.sink.bring(tx, []byte(name), t.Records); err != nil {
			return err
		}
		if tx.Holds([]byte(name)) {
			b.held++
		}
	}
	return nil
}

// try answers a waiter, or says which name it takes yet. It is called within an update:
// nothing that was brought is taken out before.
func (b *bounded) try(w *waiter) (reply, unread, apex []byte) {
	if b.front == nil && w.front >= 0 {
		b.front = b.s.inFront(b.reader)
	}
	r := b.reader
	if w.front >= 0 {
		r = b.front[w.front]
		r.Enter()
		defer r.Leave()
	}
	b.reader.Enter()
	defer b.reader.Leave()
	b.reader.Know(func(name []byte) (zone.Known, bool) {
		t, ok := w.told[string(name)]
		return zone.Known{Exists: t.Exists, Above: t.Above}, ok && len(t.Records) == 0
	})
	r.From(&w.client)
	data := append(make([]byte, 0, wire.MaxMessage), w.query...)
	var q wire.Query
	q.Parse(data)
	reply, outcome := r.Answer(&q, data, q.Limit(w.stream, b.s.maxUDP), -1)
	if outcome != zone.Unread {
		return reply, nil, nil
	}
	name, z := b.reader.Unread()
	if t, ok := w.told[string(name)]; ok && len(t.Records) > 0 {
		return b.refuse(w.query, w.stream, errorText), nil, nil // the table would not take what etcd has
	}
	return nil, name, z.Apex
}

// evict takes names out until there are no more than wanted.
func (b *bounded) evict(tx *zone.Tx) error {
	for b.held > b.most {
		ok, err := tx.Evict(rand.Uint64(), b.s.sink.health.forget)
		if err != nil || !ok {
			return err
		}
		b.held--
		b.evicted.Add(1)
	}
	b.shown.Store(int64(b.held))
	return nil
}

// finish delivers a reply, or that there is none.
func (b *bounded) finish(w *waiter, reply []byte) {
	b.mu.Lock()
	b.waiting--
	for name := range w.told {
		a := b.names[name]
		if a.users--; a.users == 0 {
			delete(b.names, name)
		}
	}
	b.mu.Unlock()
	if reply == nil {
		b.failed.Add(1)
		reply = b.refuse(w.query, w.stream, errorText)
	} else {
		b.answered.Add(1)
	}
	if err := w.late.Deliver(w.to, reply); err != nil { // the client has gone, or this process goes
		b.log.Debug("late answer not delivered", "error", err)
	}
}

// refuse makes the answer that what is asked for cannot be had now.
func (b *bounded) refuse(query []byte, stream bool, why string) []byte {
	data := append(make([]byte, 0, wire.DefaultUDP), query...)
	var q wire.Query
	var reply wire.Reply
	q.Parse(data)
	reply.Begin(data, &q, q.Limit(stream, b.s.maxUDP))
	reply.SetRcode(wire.RcodeServFail)
	reply.SetEDE(wire.EDENetworkError, why)
	return reply.Finish()
}
