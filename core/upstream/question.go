package upstream

import (
	"errors"
	"net/netip"
	"time"
)

// A Question is what to ask. Ask copies it: it may be reused once Ask returned.
type Question struct {
	Name    []byte // folded wire form, at most 255 octets
	Type    uint16
	Class   uint16
	DO      bool   // want DNSSEC records (RFC 3225)
	CD      bool   // no validation upstream (RFC 4035 §3.2.2)
	RD      bool   // want recursion
	Options []byte // more EDNS options in wire form, such as client subnet; at most 512 octets
}

// An Answer is how a question ended.
type Answer struct {
	// Msg is the whole reply, valid during the callback only. Its question is
	// that which was asked, in folded case; its ID means nothing. TC is never set.
	// An answer without Err may be SERVFAIL, REFUSED, NOTIMP or FORMERR:
	// then no server had a better one.
	Msg    []byte
	Server netip.AddrPort // who answered; the zero value where Err is set
	// Addresses says that Msg is addresses of the question's name and nothing else, with each
	// under a pointer to the question: there is no alias, nor anything to be believed of others.
	Addresses bool
	RTT       time.Duration // between the asking of that server and its reply
	Err       error         // net.ErrClosed, one of this package's, or of the network's (syscall.ECONNREFUSED)
}

// How a question may end without an answer, besides network errors.
var (
	ErrTimeout   = errors.New("no upstream server answered in time")
	ErrMute      = errors.New("no upstream server answers, and enough questions wait to tell when one does")
	ErrOverload  = errors.New("too many questions in flight upstream")
	ErrNoServers = errors.New("no upstream server to ask")
	ErrQuestion  = errors.New("question cannot be written in wire form")
	ErrReply     = errors.New("upstream reply makes no sense")
	ErrSilent    = errors.New("upstream connection has fallen silent")
)

const maxOptions = 512 // octets of Question.Options
