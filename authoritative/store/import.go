package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/strata-dns/strata/core/wire"
)

// DefaultMaxDelete is brake.max_delete where none is set.
const DefaultMaxDelete = 0.3

// ErrBrake is an import that would delete more than it may.
var ErrBrake = errors.New("too many deletions at once")

// An Import says whose records come and what becomes of those there are.
type Import struct {
	Owner string
	Under []byte // the zone, wire form, lower-cased: all records must be at or below it
	// Replace makes the owner's records under Under exactly those that come:
	// RRsets are set, and those that don't come are deleted. Without it values
	// are added.
	Replace bool
	// MaxDelete is the brake: the share of the owner's keys under Under that one
	// import may delete. 0 is DefaultMaxDelete, 1 lets all be deleted.
	MaxDelete float64
}

// Import writes the records of one owner, say those of a master file; the owner
// and the order of the records that come don't matter, and several of one name
// and type make one RRset with the least of their TTLs (RFC 2181 §5.2).
//
// It holds all that come in memory. With Replace, what is there is streamed by,
// and only what differs is written. Errors are Write's, ErrBrake (nothing was
// changed), and those of the sequence (nothing was changed).
func (c *Client) Import(ctx context.Context, what Import, records iter.Seq2[Record, error]) (Result, error) {
	op := fmt.Sprintf("import as %s", what.Owner)
	if err := checkName(what.Under); err != nil {
		return Result{}, fmt.Errorf("%s: %w", op, err)
	}
	op += " under " + wire.NameString(what.Under)
	coming, err := c.collect(what, records)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", op, err)
	}
	edits := make([]Edit, 0, len(coming))
	var found Result
	if what.Replace {
		if edits, found, err = c.compare(ctx, what, coming); err != nil {
			return Result{}, fmt.Errorf("%s: %w", op, err)
		}
	}
	for _, rec := range coming { // what is left after the comparison
		e := Edit{Add, *rec}
		if what.Replace {
			e.Op = Set
		}
		edits = append(edits, e)
	}
	res, err := c.Write(ctx, edits...)
	res.add(found)
	if err != nil {
		return res, fmt.Errorf("%s: %w", op, err)
	}
	return res, nil
}

// collect makes RRsets of the records that come, by key.
func (c *Client) collect(what Import, records iter.Seq2[Record, error]) (map[string]*Record, error) {
	coming := make(map[string]*Record)
	for rec, err := range records {
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, nothingChanged)
		}
		rec.Owner = what.Owner
		if err := (Edit{Set, rec}).check(); err != nil {
			return nil, fmt.Errorf("%w%s", err, nothingChanged)
		}
		if !wire.IsSubdomain(rec.Name, what.Under) {
			return nil, fmt.Errorf("%w: %s is outside%s", ErrEdit, rec, nothingChanged)
		}
		key := c.keys.key(rec.Name, rec.Type, rec.Owner)
		set := coming[key]
		if set == nil {
			set = &Record{Name: bytes.Clone(rec.Name), Type: rec.Type, Owner: rec.Owner, TTL: rec.TTL}
			coming[key] = set
		}
		set.TTL = min(set.TTL, rec.TTL)
		if set.Probe == "" {
			set.Probe = rec.Probe
		} else if rec.Probe != "" && rec.Probe != set.Probe {
			return nil, fmt.Errorf("%w: %s is to be probed by %s and by %s%s", ErrEdit, rec, set.Probe, rec.Probe, nothingChanged)
		}
		for _, rdata := range rec.Data {
			if !hasRdata(set.Data, rdata) {
				set.Data = append(set.Data, bytes.Clone(rdata))
			}
		}
	}
	return coming, nil
}

// compare takes from coming what is there already, and gives the deletions of
// what is there and does not come.
func (c *Client) compare(ctx context.Context, what Import, coming map[string]*Record) ([]Edit, Result, error) {
	start, end := c.keys.under(what.Under)
	p, err := c.openRange(ctx, start, end)
	if err != nil {
		return nil, Result{}, err
	}
	var edits []Edit
	found := Result{Revision: p.revision}
	all := 0
	d := newDecoder(c.keys)
	err = p.each(ctx, func(kv *mvccpb.KeyValue) bool {
		d.reset()
		have, err := d.key(kv.Key)
		if err != nil || have.Owner != what.Owner {
			return true
		}
		all++
		want := coming[string(kv.Key)]
		if want == nil {
			have.Name = slices.Clone(have.Name)
			edits = append(edits, Edit{Remove, have})
			return true
		}
		if d.fill(&have, kv.Value) != nil {
			return true
		}
		switch want.Probe {
		case "":
			want.Probe = have.Probe // what comes says nothing of it
		case NoProbe:
			want.Probe = ""
		}
		if have.TTL == want.TTL && have.Probe == want.Probe && sameSet(have.Data, want.Data) {
			found.Unchanged++
			delete(coming, string(kv.Key))
		}
		return true
	})
	if err != nil {
		return nil, Result{}, err
	}
	most := what.MaxDelete
	if most == 0 {
		most = DefaultMaxDelete
	}
	if float64(len(edits)) > most*float64(all) {
		return nil, Result{}, fmt.Errorf("%w: %d of %d keys would go, more than %.0f %% (brake.max_delete)%s",
			ErrBrake, len(edits), all, most*100, nothingChanged)
	}
	return edits, found, nil
}
