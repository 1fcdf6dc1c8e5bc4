package upstream

import (
	"sync/atomic"
	"time"
)

// What is counted of a server.
const (
	cAsked       = iota
	cAnswered    // replies believed
	cFailed      // of these, replies that do not answer
	cGarbled     // of these, replies that make no sense
	cTruncated   // of these, asked again over TCP
	cTimeouts    // queries without a reply within the budget
	cErrors      // queries that the network refused
	cHedges      // queries because another server was late
	cResends     // queries because this server itself was
	cNoReply     // messages not believed, in the order of verdicts: no reply to a query
	cOtherName   // another question
	cOtherCase   // the question in another case
	cOtherSubnet // another client subnet
	cOtherID     // an ID that was not asked with
	cLate        // replies to what was answered or given up
	cFloods      // times that made-up replies sent queries over TCP
	cConnections // TCP and TLS connections that came to stand
	cClosed      // of these, closed by the other side with queries open
	counters

	cStrange = cNoReply
)

// A tally is what one shard counts of one server. It is written under the shard's
// lock only and may be read at any time, so that counting is a plain addition on a
// line that no other processor writes.
type tally struct {
	_         [64]byte
	n         [counters]atomic.Uint64
	histogram [len(HistogramBounds) + 1]atomic.Uint64
	nanos     atomic.Uint64 // of all round-trip times
	_         [64]byte
}

func plus(to *atomic.Uint64, n uint64) { to.Store(to.Load() + n) }

// count adds one to a counter of a server.
func (s *shard) count(of *server, what int) { plus(&of.tallies[s.index].n[what], 1) }

// timed adds one round-trip time to the histogram.
func (s *shard) timed(of *server, rtt time.Duration) {
	t := &of.tallies[s.index]
	i := 0
	for i < len(HistogramBounds) && rtt > HistogramBounds[i] {
		i++
	}
	plus(&t.histogram[i], 1)
	plus(&t.nanos, uint64(max(0, rtt)))
}

// total adds up what the shards have counted.
func (s *server) total(what int) (n uint64) {
	for i := range s.tallies {
		n += s.tallies[i].n[what].Load()
	}
	return n
}

func (s *server) stats() ServerStats {
	st := ServerStats{
		Server: s.Server, Asked: s.total(cAsked), Answered: s.total(cAnswered), Failed: s.total(cFailed),
		Garbled: s.total(cGarbled), Truncated: s.total(cTruncated), Timeouts: s.total(cTimeouts), Errors: s.total(cErrors),
		Hedges: s.total(cHedges), Resends: s.total(cResends), Late: s.total(cLate), Floods: s.total(cFloods),
		NoReply: s.total(cNoReply), OtherID: s.total(cOtherID), OtherQuestion: s.total(cOtherName), OtherCase: s.total(cOtherCase), OtherSubnet: s.total(cOtherSubnet),
		Connections: s.total(cConnections), Closed: s.total(cClosed),
		RTT: s.smoothed(), P95: s.p95(), Down: s.down(),
	}
	st.Refused = s.refused.Load()
	st.Mismatches = st.NoReply + st.OtherID + st.OtherQuestion + st.OtherCase + st.OtherSubnet
	if err := s.lastErr.Load(); err != nil {
		st.LastError = *err
	}
	for i := range s.tallies {
		t := &s.tallies[i]
		for j := range t.histogram {
			st.Histogram[j] += t.histogram[j].Load()
		}
		st.Waited += time.Duration(t.nanos.Load())
	}
	return st
}
