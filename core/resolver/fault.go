package resolver

import (
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/upstream"
	"github.com/strata-dns/strata/core/wire"
)

// A fault is why a question has no answer, and the extended error that the asker
// is told (RFC 8914).
type fault struct {
	err error
	ede uint16
}

// A refusal is the fault of a question that was not asked.
type refusal struct{ fault }

// Passing tells the cache that the next question of the kind may fare better.
func (refusal) Passing() bool { return true }

func (f fault) Error() string { return f.err.Error() }
func (f fault) Unwrap() error { return f.err }

// EDE is what the cache tells the asker.
func (f fault) EDE() uint16 { return f.ede }

// Faulty gives an error the extended error code that its asker is told.
func Faulty(err error, ede uint16) error { return fault{err, ede} }

var (
	errAliases  = fault{errors.New("an alias leads in a circle, or over too many others"), wire.EDEOther}
	errReferral = fault{errors.New("the server refers to others: the zone is cut there, give its servers"), wire.EDENoReachableAuth}
)

// upstreamFault tells the kinds of upstream's errors apart.
func upstreamFault(err error) error {
	switch {
	case errors.Is(err, upstream.ErrMute):
		return refusal{fault{err, wire.EDENoReachableAuth}}
	case errors.Is(err, upstream.ErrTimeout), errors.Is(err, upstream.ErrNoServers):
		return fault{err, wire.EDENoReachableAuth}
	case errors.Is(err, net.ErrClosed):
		return fault{err, wire.EDENotReady}
	case errors.Is(err, upstream.ErrOverload):
		return refusal{fault{err, wire.EDEOther}}
	}
	return fault{err, wire.EDENetworkError}
}

// told is an error of the route's with what the asker is told, be it the route's own or
// upstream's.
func told(err error) error {
	if _, ok := err.(interface{ EDE() uint16 }); ok {
		return err
	}
	return upstreamFault(err)
}

// targetFault is an alias's whose target has no answer, for the reason that the
// target's reply gives.
func targetFault(name []byte, reply *dns.Msg) error {
	f := fault{fmt.Errorf("target %s of an alias: %s", wire.NameString(name), dns.RcodeToString[reply.Rcode]), wire.EDENoReachableAuth}
	if code, ok := extendedError(reply); ok {
		f.ede = code
	}
	return f
}

// extendedError finds the extended error of a reply.
func extendedError(m *dns.Msg) (code uint16, ok bool) {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, is := o.(*dns.EDNS0_EDE); is {
				return ede.InfoCode, true
			}
		}
	}
	return 0, false
}
