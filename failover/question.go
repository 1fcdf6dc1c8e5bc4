package failover

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// What a probe may answer besides success and plain failure. Wrap them.
var (
	// ErrCacheable says the answer was right but may have come from a cache,
	// its TTL not being zero, say: it proves nothing while another question
	// fails.
	ErrCacheable = errors.New("the answer may be a cached one")
	// ErrWrong says the answer was not the expected one: the server is ill,
	// whatever else it answers.
	ErrWrong = errors.New("not the expected answer")
)

// A Question is one a check asks.
type Question struct {
	Name   string // without a closing dot unless it was configured with one
	Type   string // "A"
	Data   string // what it must answer, in master-file form; empty: any answer, also that there is no such name
	Stream bool   // over TCP
}

// LabelLen is how long the random label in front of a check zone is, in octets.
const LabelLen = 16

// A Plan is what checks ask, in full each time. One working name is enough, so
// that a dead check zone takes nobody down; see Checker for the verdict.
type Plan struct {
	// Zones are asked for the address of a random label each, which no cache
	// can hold.
	Zones []string
	// Expect are asked as they are. Stream is set as for all.
	Expect []Question
	// StreamEvery is how many checks there are to one over TCP; 0 means none
	// is. A check that follows a failed one goes the same way as that, so that
	// a server that lost only one of the two is found out.
	StreamEvery int
}

// Check tells what is wrong with a plan.
func (p Plan) Check() error {
	if len(p.Zones)+len(p.Expect) == 0 {
		return errors.New("failover: nothing to check: neither a zone nor an expected answer is configured")
	}
	for _, q := range p.Expect {
		if q.Name == "" || q.Type == "" {
			return fmt.Errorf("failover: expected answer %q: needs a name and a type", q.Name+" "+q.Type+" "+q.Data)
		}
	}
	if p.StreamEvery < 0 {
		return fmt.Errorf("failover: one check in %d over TCP: must not be negative", p.StreamEvery)
	}
	return nil
}

// questions of one check.
func (p Plan) questions(stream bool) []Question {
	asked := make([]Question, 0, len(p.Zones)+len(p.Expect))
	for _, zone := range p.Zones {
		// 64 random bits: no two checks anywhere meet in a cache.
		asked = append(asked, Question{Name: fmt.Sprintf("%0*x.%s", LabelLen, rand.Uint64(), zone), Type: "A", Stream: stream})
	}
	for _, q := range p.Expect {
		q.Stream = stream
		asked = append(asked, q)
	}
	return asked
}

// verdict sums a check's answers up: nil, or why the check failed. A wrong
// answer fails it; else one good answer passes it; else a failure fails it; and
// where all that was asked is cacheable, that has to do.
func verdict(answers []error) error {
	var failure error
	good := false
	for _, err := range answers {
		switch {
		case err == nil:
			good = true
		case errors.Is(err, ErrWrong):
			return err
		case failure == nil && !errors.Is(err, ErrCacheable):
			failure = err
		}
	}
	if good {
		return nil
	}
	return failure
}
