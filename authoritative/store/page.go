package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A Listed is a record as it stands in etcd.
type Listed struct {
	Record
	Revision int64 // etcd's, of its last change
}

// A PageQuery asks for a part of the records.
type PageQuery struct {
	Under []byte            // wire form, lower-cased: at and below this name
	Keep  func(Record) bool // which ones; nil: all
	Limit int               // records of a page, at least 1
	After Place             // where the page before ended; zero: from the beginning
}

// A Place is where a page ended, and the revision that all pages of a listing are of.
type Place struct {
	Key      string
	Revision int64
}

// A Page is a part of the records at one revision.
type Page struct {
	Records  []Listed
	Revision int64
	Next     Place // zero: this was the last page
}

// pageScan bounds the keys that are read for one page, however few of them are kept.
const pageScan = 10 * pageKeys

var (
	// ErrCompacted is a revision that etcd has forgotten.
	ErrCompacted = errors.New("etcd has forgotten what was at this revision")
	// ErrPlace is a place that no page gave.
	ErrPlace = errors.New("no place where a page ended")
)

// Page is one page of the records at and below a name, in the order of their keys. It
// may have fewer records than asked for, even none, and yet not be the last. Errors:
// ErrCompacted, ErrPlace, ErrUnavailable.
func (c *Client) Page(ctx context.Context, q PageQuery) (Page, error) {
	if err := checkName(q.Under); err != nil {
		return Page{}, fmt.Errorf("list: %w", err)
	}
	start, end := c.keys.under(q.Under)
	p := &pager{c: c, end: end, revision: q.After.Revision}
	if q.After != (Place{}) {
		if q.After.Key < start || q.After.Key >= end || q.After.Revision <= 0 {
			return Page{}, fmt.Errorf("list: %w", ErrPlace)
		}
		start = q.After.Key + "\x00"
	}
	page := Page{}
	for scanned := 0; ; {
		got, err := p.get(ctx, start)
		switch {
		case errors.Is(err, rpctypes.ErrCompacted):
			return Page{}, fmt.Errorf("list at revision %d: %w", p.revision, ErrCompacted)
		case errors.Is(err, rpctypes.ErrFutureRev):
			return Page{}, fmt.Errorf("list: %w", ErrPlace)
		case err != nil:
			return Page{}, err
		}
		if p.revision == 0 {
			p.revision = got.Header.Revision
		}
		page.Revision = p.revision
		done := page.take(c, got, q)
		scanned += len(got.Kvs)
		switch {
		case done:
			return page, nil
		case !got.More || len(got.Kvs) == 0:
			return page, nil
		}
		start = string(got.Kvs[len(got.Kvs)-1].Key) + "\x00"
		if scanned >= pageScan {
			page.Next = Place{Key: start[:len(start)-1], Revision: p.revision}
			return page, nil
		}
	}
}

// take keeps what is asked for, and says whether the page is full.
func (page *Page) take(c *Client, got *clientv3.GetResponse, q PageQuery) (full bool) {
	d := newDecoder(c.keys)
	for i, kv := range got.Kvs {
		rec, err := d.record(kv.Key, kv.Value)
		if err != nil {
			c.skip(kv.Key, err)
			continue
		}
		if q.Keep != nil && !q.Keep(rec) {
			continue
		}
		page.Records = append(page.Records, Listed{rec, kv.ModRevision})
		if len(page.Records) == max(q.Limit, 1) {
			if got.More || i < len(got.Kvs)-1 {
				page.Next = Place{Key: string(kv.Key), Revision: page.Revision}
			}
			return true
		}
	}
	return false
}

// ErrNone is a record that is not there.
var ErrNone = errors.New("there is no such record")

// Get gives what one owner has at a name. Errors: ErrNone, ErrValue, ErrUnavailable.
func (c *Client) Get(ctx context.Context, name []byte, typ uint16, owner string) (Listed, error) {
	what := Record{Name: name, Type: typ, Owner: owner}
	if err := checkName(name); err != nil {
		return Listed{}, fmt.Errorf("get record: %w", err)
	}
	key := c.keys.key(name, typ, owner)
	p := &pager{c: c, end: key + "\x00"}
	got, err := p.get(ctx, key)
	if err != nil {
		return Listed{}, err
	}
	if len(got.Kvs) == 0 {
		return Listed{}, fmt.Errorf("get %s: %w", what, ErrNone)
	}
	rec, err := newDecoder(c.keys).record(got.Kvs[0].Key, got.Kvs[0].Value)
	if err != nil {
		return Listed{}, fmt.Errorf("get %s: what etcd has at %s is none of ours: %w", what, key, err)
	}
	return Listed{rec, got.Kvs[0].ModRevision}, nil
}
