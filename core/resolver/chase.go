package resolver

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// fetch implements cache.Fetch: it asks the route, and follows an alias that the
// route's server did not.
func (r *Resolver) fetch(q *cache.Question, done func(msg []byte, err error)) {
	if target, head, ok := r.rewrite(q); ok {
		r.follow(q, head, target, done)
		return
	}
	r.route(q, func(msg []byte, err error) {
		if err == nil {
			if target, ok := dangling(msg, q.Type); ok {
				head := new(dns.Msg)
				if err = head.Unpack(msg); err == nil {
					r.follow(q, head, target, done)
					return
				}
			}
		}
		done(msg, err)
	})
}

// rewrite asks the rules whether the name stands for another one.
func (r *Resolver) rewrite(q *cache.Question) (target []byte, head *dns.Msg, ok bool) {
	data := wire.AppendQuery(make([]byte, 0, 1024), 0, 0, q.Name, q.Type, q.Class, nil)
	var wq wire.Query
	if wq.Parse(data) != wire.Valid {
		return nil, nil, false
	}
	p := r.rules.Load().Policy
	v := p.Ask(&wq, loopback)
	if v.Action != policy.Rewrite {
		return nil, nil, false
	}
	var reply wire.Reply
	reply.Begin(data, &wq, cap(data))
	at, ok := p.Alias(&reply, v, &wq)
	if !ok {
		return nil, nil, false
	}
	msg := reply.Finish()
	var name [wire.MaxName]byte
	n, _, ok := wire.ReadName(msg, at, &name)
	head = new(dns.Msg)
	if !ok || head.Unpack(msg) != nil {
		return nil, nil, false
	}
	return name[:n], head, true
}

var loopback = netip.MustParseAddr("127.0.0.1")

// dangling reports whether an answer ends in an alias whose target's records are
// not there, and gives the target.
func dangling(msg []byte, typ uint16) (target []byte, ok bool) {
	if len(msg) < wire.HeaderLen || wire.RcodeOf(msg) != wire.RcodeSuccess || typ == wire.TypeCNAME || typ == wire.TypeANY {
		return nil, false
	}
	rd, ok := wire.NewReader(msg)
	if !ok {
		return nil, false
	}
	var rec, last wire.Record
	for rd.Next(&rec) {
		switch {
		case rec.Section == wire.Answer && rec.Type == typ:
			return nil, false
		case rec.Section == wire.Answer && rec.Type == wire.TypeCNAME:
			last = rec
		case rec.Section == wire.Authority && rec.Type == wire.TypeSOA:
			return nil, false // the target's zone says that there is nothing
		}
	}
	if last.Type == 0 || rd.Bad() {
		return nil, false
	}
	var name [wire.MaxName]byte
	n, _, ok := wire.ReadName(msg, last.Data, &name)
	wire.Fold(name[:n])
	return name[:n], ok
}

var errAliases = errors.New("an alias leads in a circle")

// follow resolves an alias's target, through rules and cache like any question,
// and gives done the alias with what was found.
func (r *Resolver) follow(q *cache.Question, head *dns.Msg, target []byte, done func(msg []byte, err error)) {
	if string(target) == string(q.Name) || len(head.Answer) > maxAliases {
		done(nil, errAliases)
		return
	}
	r.ask(target, q, func(reply []byte) {
		tail := new(dns.Msg)
		err := tail.Unpack(reply)
		if err == nil && tail.Rcode != dns.RcodeSuccess && tail.Rcode != dns.RcodeNameError {
			err = fmt.Errorf("target %s of an alias: %s", wire.NameString(target), dns.RcodeToString[tail.Rcode])
		}
		if err != nil {
			done(nil, err)
			return
		}
		head.Rcode = tail.Rcode // RFC 6604 §3
		head.AuthenticatedData = head.AuthenticatedData && tail.AuthenticatedData
		head.Answer = append(head.Answer, tail.Answer...)
		head.Ns, head.Extra = tail.Ns, nil
		head.Compress = true
		done(head.Pack())
	})
}

const maxAliases = 16

// ask answers a question of our own.
func (r *Resolver) ask(name []byte, like *cache.Question, done func(reply []byte)) {
	flags := wire.FlagRD
	if like.CD {
		flags |= wire.FlagCD
	}
	data := wire.AppendQuery(make([]byte, 0, 16<<10), 0, flags, name, like.Type, like.Class, &wire.EDNS{UDPSize: wire.DefaultUDP, DO: like.DO})
	var q wire.Query
	if q.Parse(data) != wire.Valid {
		done(q.Error(data, wire.FormErr))
		return
	}
	rules := r.rules.Load()
	if v := rules.Policy.Ask(&q, loopback); v.Action == policy.Answer {
		done(rules.Policy.Reply(v, &q, data, cap(data)))
		return
	}
	if reply, state := r.cache.Answer(&q, data, cap(data), r.cache.Now()); state != cache.Miss {
		done(reply)
		return
	}
	r.cache.Wait(&q, data, cap(data), waiterFunc(done))
}

type waiterFunc func([]byte)

func (f waiterFunc) Deliver(reply []byte) { f(reply) }
