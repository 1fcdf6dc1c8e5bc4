package wire

import (
	"bytes"
	"testing"
)

// A trail gets longer by each process that asks a question on, and each knows its own.
func TestTrail(t *testing.T) {
	first, second, third := NewStamp(), NewStamp(), NewStamp()
	var trail []byte
	for i, s := range []Stamp{first, second} {
		options := s.AppendTrail([]byte{0, 10, 0, 1, 9}, trail)
		var q Query
		if o := q.Parse(AppendQuery(nil, 1, FlagRD, MustName("a.example"), TypeA, ClassIN, &EDNS{UDPSize: 1232, Options: options})); o != Valid {
			t.Fatal(o)
		}
		trail = bytes.Clone(q.Trail())
		if len(trail) != (i+1)*len(s) || !first.In(trail) || second.In(trail) != (i == 1) || third.In(trail) {
			t.Errorf("behind %d: %x", i+1, trail)
		}
	}
	long := bytes.Repeat(first[:], LongestTrail/len(first))
	if options := second.AppendTrail(nil, long); !second.In(options[4:]) || !validOptions(options) {
		t.Errorf("the longest: %x", options)
	}
	for _, none := range [][]byte{nil, {}, first[:7], append(first[:], 1)} {
		var q Query
		q.Parse(AppendQuery(nil, 1, 0, MustName("a.example"), TypeA, ClassIN, &EDNS{Options: AppendOption(nil, OptionTrail, none)}))
		if q.Trail() != nil {
			t.Errorf("%x is a trail", none)
		}
	}
}
