package store

import (
	"context"
	"errors"
	"fmt"
)

// MaxTogether is how many RRsets one transaction may change.
const MaxTogether = maxKeys

// ErrTooMany is more edits than one transaction of etcd holds.
var ErrTooMany = fmt.Errorf("more than one transaction holds: at most %d RRsets and %d KiB of data", MaxTogether, maxOctets>>10)

// Expected says which revision an RRset must have for edits to be made: that of its
// last change, Absent or Present.
type Expected struct {
	Record         // its name, type and owner
	Revision int64 // of etcd
}

// Instead of a revision.
const (
	Absent  int64 = 0
	Present int64 = -1
)

// A Step is what edits made of an RRset: its revision before and afterwards, Absent where
// there is none.
type Step struct{ From, To int64 }

// ErrRevision is an RRset that is not as it was expected. The error is a [RevisionError].
var ErrRevision = errors.New("the record has changed")

// A RevisionError says what was found instead; Absent where there is nothing.
type RevisionError struct {
	Record string
	Want   int64
	Have   int64
}

func (e *RevisionError) Error() string {
	want, have := fmt.Sprintf("revision %d", e.Want), fmt.Sprintf("has revision %d", e.Have)
	switch e.Want {
	case Absent:
		want = "none"
	case Present:
		want = "one"
	}
	if e.Have == Absent {
		have = "is not there"
	}
	return fmt.Sprintf("%v: %s %s, and %s was expected", ErrRevision, e.Record, have, want)
}

// Is makes it an ErrRevision.
func (e *RevisionError) Is(target error) bool { return target == ErrRevision }

// WriteTogether makes all edits in one transaction or none, if all that is expected
// holds when they are made; of what is expected each must be of a name that is edited.
// steps are those of the edits' RRsets, in the order of the edits. Errors: Write's,
// ErrTooMany and ErrRevision (nothing was changed).
func (c *Client) WriteTogether(ctx context.Context, expected []Expected, edits ...Edit) (res Result, steps []Step, err error) {
	for _, e := range edits {
		if err := e.check(); err != nil {
			return Result{}, nil, fmt.Errorf("write to etcd: %w", err)
		}
	}
	chunks, err := chunk(edits)
	switch {
	case len(chunks) > 1 || err != nil:
		return Result{}, nil, fmt.Errorf("write %d records to etcd: %w%s", len(edits), ErrTooMany, nothingChanged)
	case len(chunks) == 0:
		return Result{}, nil, nil
	}
	var seen *view
	res, err = c.commit(ctx, nil, func(v *view) error {
		seen = v
		for _, want := range expected {
			if err := v.expect(want); err != nil {
				return err
			}
		}
		return nil
	}, chunks[0])
	if err != nil {
		return res, nil, err
	}
	for _, e := range edits {
		s := seen.slots[c.keys.key(e.Name, e.Type, e.Owner)]
		step := Step{From: s.mod, To: s.mod}
		switch {
		case len(s.Data) == 0: // also where what was there was none of ours
			step.To = Absent
		case s.changed():
			step.To = res.Revision
		}
		steps = append(steps, step)
	}
	return res, steps, nil
}

// expect compares an RRset's revision, before any edit of the view.
func (v *view) expect(want Expected) error {
	have := Absent
	if s := v.slots[v.keys.key(want.Name, want.Type, want.Owner)]; s != nil {
		have = s.mod
	}
	if have == want.Revision || want.Revision == Present && have != Absent {
		return nil
	}
	return &RevisionError{Record: want.Record.String(), Want: want.Revision, Have: have}
}
