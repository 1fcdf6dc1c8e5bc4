package upstream

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

// Transport is how a server is asked.
type Transport uint8

const (
	UDP Transport = iota // and TCP where the reply is truncated (RFC 7766 §5)
	TCP                  // kept connections, pipelined (RFC 7766 §6.2)
	TLS                  // the same within TLS (RFC 7858)
)

func (t Transport) String() string { return [...]string{"udp", "tcp", "tls"}[t] }

// A Server is one address to ask, and how.
type Server struct {
	Addr      netip.AddrPort `mapstructure:"-"` // a config has a server as one text, and no keys
	Transport Transport      `mapstructure:"-"`
	TLSName   string         `mapstructure:"-"` // TLS only: the name its certificate must have
	// Mix0x20 mixes the case of names at random and wants it back exactly
	// (draft-vixie-dnsext-dns0x20). Only for servers that copy the question.
	Mix0x20 bool `mapstructure:"-"`
}

func (s Server) String() string {
	if s.Transport == TLS {
		return fmt.Sprintf("tls://%s#%s", s.Addr, s.TLSName)
	}
	return fmt.Sprintf("%s://%s", s.Transport, s.Addr)
}

func (s Server) check() error {
	switch {
	case !s.Addr.IsValid() || s.Addr.Port() == 0 || s.Addr.Addr().IsUnspecified():
		return fmt.Errorf("upstream server %s: want an address and a port", s.Addr)
	case s.Transport > TLS:
		return fmt.Errorf("upstream server %s: unknown transport", s.Addr)
	case s.Transport == TLS && s.TLSName == "":
		return fmt.Errorf("upstream server %s: TLS needs the name to verify", s.Addr)
	}
	return nil
}

// ServerStats are one server's counters since it was first named in a set.
type ServerStats struct {
	Server     Server
	Asked      uint64 // queries sent, by any transport
	Answered   uint64 // replies believed
	Failed     uint64 // of these, those that do not answer: SERVFAIL and the like, referrals, garbled ones
	Garbled    uint64 // of these, those whose records cannot be read, or are all about other names
	Truncated  uint64 // of those answered, asked again over TCP
	Timeouts   uint64 // queries that got no reply within the budget
	Errors     uint64 // queries that the network refused
	Hedges     uint64 // queries sent because another server was late
	Resends    uint64 // queries sent because this server was late, and no other one left to ask
	Mismatches uint64 // replies not believed, the sum of the next five
	NoReply    uint64 // not a reply to a standard query
	OtherID    uint64 // an ID that was not asked with
	OtherQuestion,
	OtherCase,
	OtherSubnet uint64 // that is, another client subnet than was sent (RFC 7871 §7.3)
	Late        uint64        // replies to what was answered already or given up
	Floods      uint64        // times that mismatches made queries go over TCP
	Refused     uint64        // questions not asked, as neither this server nor, behind it in their set, another one answered
	Connections uint64        // TCP and TLS connections made
	Closed      uint64        // of these, closed by the server with queries open
	RTT         time.Duration // smoothed (RFC 6298); 0 before the first reply
	P95         time.Duration // 95th percentile of the last some hundred; 0 before the first reply
	Waited      time.Duration // all round-trip times together
	Down        bool          // backed off: only probed
	LastError   error         // why it could not be reached when it last could not; nil where it always could
	// Histogram counts replies by round-trip time: Histogram[i] took at most
	// HistogramBounds[i], the last took longer. Not cumulative.
	Histogram [len(HistogramBounds) + 1]uint64
}

// HistogramBounds are the upper bounds of ServerStats.Histogram.
var HistogramBounds = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2 * time.Second,
}

// A server is a Server with what is known about it, shared by all sets that
// name it.
type server struct {
	Server
	health
	sockaddr sockaddr
	tls      *tls.Config  // TLS only
	refs     int          // sets that name it; under Engine.mu
	noEDNS   atomic.Int64 // time in ns until which queries go without an OPT record
	noMix    atomic.Int64 // time in ns until which the case of names is not mixed
	cuts     cuts
	lastErr  atomic.Pointer[error]
	refused  atomic.Uint64 // questions
	again    probes        // questions that are asked again while the set that it is the first of is silent
	pools    []pool        // one a shard, under that shard's lock
	tallies  []tally       // one a shard
}
