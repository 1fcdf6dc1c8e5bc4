package upstream

import "time"

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

// A tally is what one shard counts of one server, under that shard's lock: a store
// that others may see at any time would cost as much as an atomic addition.
type tally struct {
	_         [64]byte
	n         [counters]uint64
	histogram [len(HistogramBounds) + 1]uint64
	nanos     uint64 // of all round-trip times
	_         [64]byte
}

// count adds one to a counter of a server.
func (s *shard) count(of *server, what int) { of.tallies[s.index].n[what]++ }

// timed adds one round-trip time to the histogram.
func (s *shard) timed(of *server, rtt time.Duration) {
	t := &of.tallies[s.index]
	i := 0
	for i < len(HistogramBounds) && rtt > HistogramBounds[i] {
		i++
	}
	t.histogram[i]++
	t.nanos += uint64(max(0, rtt))
}

// total adds up what the shards have counted.
func (s *server) total(shards []*shard) (sum tally) {
	for i, shard := range shards {
		shard.mu.Lock()
		t := &s.tallies[i]
		for what, n := range t.n {
			sum.n[what] += n
		}
		for j, n := range t.histogram {
			sum.histogram[j] += n
		}
		sum.nanos += t.nanos
		shard.mu.Unlock()
	}
	return sum
}

func (s *server) stats(shards []*shard) ServerStats {
	sum := s.total(shards)
	n := &sum.n
	st := ServerStats{
		Server: s.Server, Asked: n[cAsked], Answered: n[cAnswered], Failed: n[cFailed],
		Garbled: n[cGarbled], Truncated: n[cTruncated], Timeouts: n[cTimeouts], Errors: n[cErrors],
		Hedges: n[cHedges], Resends: n[cResends], Late: n[cLate], Floods: n[cFloods],
		NoReply: n[cNoReply], OtherID: n[cOtherID], OtherQuestion: n[cOtherName], OtherCase: n[cOtherCase], OtherSubnet: n[cOtherSubnet],
		Connections: n[cConnections], Closed: n[cClosed],
		RTT: s.smoothed(), P95: s.p95(), Down: s.down(),
	}
	st.Refused = s.refused.Load()
	st.Mismatches = st.NoReply + st.OtherID + st.OtherQuestion + st.OtherCase + st.OtherSubnet
	if err := s.lastErr.Load(); err != nil {
		st.LastError = *err
	}
	st.Histogram, st.Waited = sum.histogram, time.Duration(sum.nanos)
	return st
}
