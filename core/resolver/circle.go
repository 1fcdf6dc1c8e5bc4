package resolver

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// circles find servers that ask us what we ask them, and drop the trail as they ask
// in their own words. A question that has been in the air for a while and comes from
// the address of a server is no proof: programs on that host may ask it, too. So a
// canary is sent, a name below the question's that nobody has ever asked for. If that
// comes back, the server's queries for what is in the air are refused for a while.
type circles struct {
	servers atomic.Pointer[map[netip.Addr]bool] // addresses that are asked
	renewed atomic.Int64                        // the cache's Instant at which servers was made

	meetings atomic.Int32 // that are asked about

	sent   atomic.Bool // a canary ever was
	mu     sync.Mutex
	canary string                   // the last name that was sent
	out    time.Time                // until when it may come back
	next   map[netip.Addr]time.Time // when a server may be suspected again
	proven map[netip.Addr]time.Time // until when
}

const (
	serversKept  = cache.Instant(10_000) // ms until the addresses that are asked are looked up again
	suspectEvery = 10 * time.Minute      // a server, where no canary comes back
	provenFor    = time.Minute
	canaryOut    = 2 * time.Second
	suspectAfter = 250 * time.Millisecond // most servers have answered by then, and others ask us again soon
)

// among reports whether a client has the address of a server that is asked.
func (c *circles) among(client netip.Addr, engine *upstream.Engine, now cache.Instant) bool {
	servers := c.servers.Load()
	if made := c.renewed.Load(); servers == nil || now-cache.Instant(made) > serversKept && c.renewed.CompareAndSwap(made, int64(now)) {
		fresh := map[netip.Addr]bool{}
		for _, s := range engine.Stats() {
			fresh[s.Server.Addr.Addr().Unmap()] = true
		}
		servers = &fresh
		c.servers.Store(servers)
	}
	return (*servers)[client.Unmap()]
}

// comes tells what to do about a query from a server's address, whose question has been
// in the air for so long: refuse it, or else send the canary, where one is given.
func (c *circles) comes(from netip.Addr, name []byte, aloft time.Duration) (refuse bool, canary []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case now.Before(c.out) && string(name) == c.canary:
		c.note(&c.proven, from, now.Add(provenFor))
		delete(c.next, from) // and may be again, once it is believed to be over
		return true, nil
	case aloft < 0:
		return false, nil
	case now.Before(c.proven[from]):
		return true, nil
	case aloft < suspectAfter, now.Before(c.next[from]), now.Before(c.out):
		return false, nil
	}
	if canary = newCanary(name); canary != nil {
		c.sent.Store(true)
		c.canary, c.out = string(canary), now.Add(canaryOut)
		c.note(&c.next, from, now.Add(suspectEvery))
	}
	return false, canary
}

// note sets a server's time. There are few servers, and as many times.
func (c *circles) note(times *map[netip.Addr]time.Time, server netip.Addr, until time.Time) {
	if *times == nil {
		*times = map[netip.Addr]time.Time{}
	}
	(*times)[server] = until
}

// newCanary is a random name below a folded one, nil where there is no room.
func newCanary(name []byte) []byte {
	var draw [8]byte
	rand.Read(draw[:])
	label := hex.EncodeToString(draw[:])
	if len(name)+1+len(label) > wire.MaxName {
		return nil
	}
	return append(append([]byte{byte(len(label))}, label...), name...)
}

// circled reports whether a query without a trail comes from a server that asks us
// what we ask it.
func (a *answerer) circled(client netip.Addr) bool {
	r, q := a.r, &a.q
	if r.engine == nil || !r.circles.among(client, r.engine, a.now) {
		return false
	}
	aloft := r.cache.Aloft(q, a.now)
	if aloft < 0 && !r.circles.sent.Load() { // mostly
		return false
	}
	refuse, canary := r.circles.comes(client.Unmap(), q.Name(), aloft)
	if canary != nil {
		r.route.Ask(&cache.Question{Name: canary, Type: q.Type, Class: q.Class, View: q.View}, func(upstream.Answer) {})
	}
	return refuse
}
