package resolver

import (
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// fetch implements cache.Fetch: it asks the route, and follows an alias that the
// route's servers did not, or that leads to where they have nothing to say.
func (r *Resolver) fetch(q *cache.Question, done func(msg []byte, err error)) {
	if target, head, ok := r.rewrite(q); ok {
		r.follow(q, head, target, done)
		return
	}
	o, ok := q.Kept.(*outing)
	if !ok {
		o = new(outing)
		o.back = o.answered
		q.Kept = o
	}
	o.r, o.q, o.done = r, q, done
	r.route.Ask(q, o.back)
}

// An outing is a question that the route was given. It is kept with the question.
type outing struct {
	r    *Resolver
	q    *cache.Question
	done func(msg []byte, err error)
	back func(a upstream.Answer) // made once, with the outing
}

// answered takes what the route brings, once.
func (o *outing) answered(a upstream.Answer) {
	r, q, done := o.r, o.q, o.done
	o.r, o.q, o.done = nil, nil, nil
	r.traces.note(q, a)
	switch {
	case a.Err != nil:
		done(nil, told(a.Err))
	case a.Addresses || plain(a.Msg):
		done(a.Msg, nil)
	default:
		r.understand(q, a.Msg, done)
	}
}

// understand finds out what a message with aliases, or without an answer, needs.
func (r *Resolver) understand(q *cache.Question, msg []byte, done func(msg []byte, err error)) {
	s := scan{msg: msg, typ: q.Type, apart: func(name []byte) bool { return r.route.Apart(q.View, q.Name, name) || r.decides(q, name) }}
	switch s.read(q.Name) {
	case whole:
		done(msg, nil)
	case circular:
		done(nil, errAliases)
	case referral:
		done(nil, errReferral)
	case open:
		head, err := s.head()
		if err != nil {
			done(nil, err)
			return
		}
		r.follow(q, head, s.target, done)
	}
}

// decides reports whether a rule of ours holds for an alias's target: upstream
// does not know what rules make up, or deny.
func (r *Resolver) decides(q *cache.Question, target []byte) bool {
	d := takeDesk()
	defer d.giveBack()
	v, ok := d.ask(r.rules.Load(), target, q, nil)
	return ok && v.Action != policy.Pass
}

// head is the message up to the alias that is followed.
func (s *scan) head() (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(s.msg); err != nil {
		return nil, fmt.Errorf("read upstream's alias: %w", err)
	}
	var answer []dns.RR
	for i, keep := range s.keeps() {
		if keep && i < len(m.Answer) {
			answer = append(answer, m.Answer[i])
		}
	}
	m.Rcode, m.Answer, m.Extra = dns.RcodeSuccess, answer, aged(m)
	if s.soa { // it is about a name that others answer for
		m.Ns = nil
	}
	return m, nil
}

// rewrite asks the rules whether the name stands for another one.
func (r *Resolver) rewrite(q *cache.Question) (target []byte, head *dns.Msg, ok bool) {
	rules := r.rules.Load()
	if !rules.rewrites {
		return nil, nil, false
	}
	d := takeDesk()
	defer d.giveBack()
	v, ok := d.ask(rules, q.Name, q, nil)
	if !ok || v.Action != policy.Rewrite {
		return nil, nil, false
	}
	var reply wire.Reply
	reply.Begin(d.packet, &d.q, cap(d.packet))
	at, ok := rules.Policy.Alias(&reply, v, &d.q)
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
	wire.Fold(name[:n])
	return name[:n], head, true
}

// follow resolves an alias's target, through rules and memory like any question,
// and gives done the alias with what was found.
func (r *Resolver) follow(q *cache.Question, head *dns.Msg, target []byte, done func(msg []byte, err error)) {
	r.traces.alias(q, target)
	from, to := questionText(q.Name, q), questionText(target, q)
	if !r.chains.begin(from, to) {
		done(nil, errAliases)
		return
	}
	r.ask(target, q, func(reply []byte, _ source) {
		r.chains.end(from, to)
		done(join(head, target, reply))
	})
}

// questionText is different for different questions.
func questionText(name []byte, q *cache.Question) string {
	text := append(make([]byte, 0, wire.MaxName+7), name...)
	flags := byte(0)
	if q.DO {
		flags |= 1
	}
	if q.CD {
		flags |= 2
	}
	text = append(text, byte(q.Type>>8), byte(q.Type), flags)
	return string(binary.BigEndian.AppendUint32(text, q.View))
}

// aged is what marks an answer as an expired one (RFC 8914 §4.4, §4.20), nil where none of
// what it is made of is: memory keeps such an answer for a moment only, and says so too.
func aged(parts ...*dns.Msg) []dns.RR {
	for _, m := range parts {
		if code, ok := extendedError(m); ok && (code == wire.EDEStaleAnswer || code == wire.EDEStaleNXDomain) {
			return []dns.RR{&dns.OPT{
				Hdr:    dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: wire.DefaultUDP},
				Option: []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: code}},
			}}
		}
	}
	return nil
}

// join puts what was found about an alias's target behind the alias.
func join(head *dns.Msg, target, reply []byte) ([]byte, error) {
	tail := new(dns.Msg)
	if err := tail.Unpack(reply); err != nil {
		return nil, fmt.Errorf("read the answer about %s: %w", wire.NameString(target), err)
	}
	switch tail.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
	default:
		return nil, targetFault(target, tail)
	}
	head.Rcode = tail.Rcode // of the last name (RFC 6604 §3)
	head.Extra = aged(head, tail)
	head.AuthenticatedData = head.AuthenticatedData && tail.AuthenticatedData
	head.Answer = append(head.Answer, tail.Answer...)
	head.Ns = append(head.Ns, tail.Ns...) // proofs of both; the cache leaves out the rest
	head.Compress = true
	aliases := 0
	for _, rr := range head.Answer {
		if rr.Header().Rrtype == dns.TypeCNAME {
			aliases++
		}
	}
	if tail.Truncated || aliases > maxAliases {
		return nil, errAliases
	}
	return head.Pack()
}
