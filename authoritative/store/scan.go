package store

import (
	"context"
	"iter"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// pageKeys are asked for at once: some 200 octets each, far below what a message
// may hold, and enough for the round trips not to count.
const pageKeys = 2000

// A pager walks a key range at the revision its first page came with.
type pager struct {
	c        *Client
	end      string
	revision int64
	page     *clientv3.GetResponse
	of       stretch // what page was asked of; zero: of all up to end
}

// openRange gets the first page. It is linearizable: its revision is no older
// than any change that was made before. A page without keys means that there are none.
func (c *Client) openRange(ctx context.Context, start, end string) (*pager, error) {
	p := &pager{c: c, end: end, of: c.openings.first(start, end)}
	for {
		page, err := p.ask(ctx, p.of)
		if err != nil {
			return nil, err
		}
		if p.page = page; p.revision == 0 {
			p.revision = page.Header.Revision
			c.openings.note(p.of, page)
		}
		next, more := p.of.after(page, end)
		if len(page.Kvs) > 0 || !more {
			return p, nil
		}
		p.of = next
	}
}

// get asks of all keys from start to the range's end.
func (p *pager) get(ctx context.Context, start string) (*clientv3.GetResponse, error) {
	return p.ask(ctx, stretch{start, p.end})
}

func (p *pager) ask(ctx context.Context, of stretch) (*clientv3.GetResponse, error) {
	etcd, err := p.c.conn()
	if err != nil {
		return nil, p.c.fault(ctx, "read etcd", p.c.opts.DialTimeout, "", err)
	}
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), p.c.opts.Timeout)
	defer cancel()
	page, err := etcd.Get(timed, of.start, clientv3.WithRange(of.stop),
		clientv3.WithLimit(pageKeys), clientv3.WithRev(p.revision))
	if err != nil {
		return nil, p.c.fault(ctx, "read etcd", p.c.opts.Timeout, "", err)
	}
	return page, nil
}

// each yields the keys in order, until an error or until yield has enough. The
// next page is under way while one is worked on.
func (p *pager) each(ctx context.Context, yield func(*mvccpb.KeyValue) bool) error {
	type result struct {
		page *clientv3.GetResponse
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	next := make(chan result, 1)
	waiting := false
	defer func() {
		cancel()
		if waiting {
			<-next
		}
	}()
	if p.of.stop == "" {
		p.of.stop = p.end
	}
	for page, of := p.page, p.of; ; {
		if of, waiting = of.after(page, p.end); waiting {
			go func() {
				page, err := p.ask(ctx, of)
				next <- result{page, err}
			}()
		}
		for _, kv := range page.Kvs {
			if !yield(kv) {
				return nil
			}
		}
		if !waiting {
			return nil
		}
		got := <-next
		waiting = false
		if got.err != nil {
			return got.err
		}
		page = got.page
	}
}

// records decodes what the pager walks over; of one owner where it isn't empty.
func (p *pager) records(ctx context.Context, owner string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		d := newDecoder(p.c.keys)
		stopped := false
		err := p.each(ctx, func(kv *mvccpb.KeyValue) bool {
			d.reset()
			rec, err := d.key(kv.Key)
			if err == nil && owner != "" && rec.Owner != owner {
				return true
			}
			if err == nil {
				err = d.fill(&rec, kv.Value)
			}
			if err != nil {
				p.c.skip(kv.Key, err)
				return true
			}
			stopped = !yield(rec, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Record{}, err)
		}
	}
}

// Records gives all records at one revision, in the order of their keys, and
// that revision. The sequence can be walked once; it holds a page at a time.
func (c *Client) Records(ctx context.Context) (iter.Seq2[Record, error], int64, error) {
	start, end := c.keys.all()
	p, err := c.openRange(ctx, start, end)
	if err != nil {
		return nil, 0, err
	}
	return p.records(ctx, ""), p.revision, nil
}

// List gives the records at and below a name (wire form, lower-cased), of one
// owner where owner is not empty. Errors of etcd end the sequence.
func (c *Client) List(ctx context.Context, under []byte, owner string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := checkName(under); err != nil {
			yield(Record{}, err)
			return
		}
		start, end := c.keys.under(under)
		p, err := c.openRange(ctx, start, end)
		if err != nil {
			yield(Record{}, err)
			return
		}
		p.records(ctx, owner)(yield)
	}
}

func (c *Client) skip(key []byte, err error) {
	c.skipped.Add(1)
	if text := err.Error(); len(text) > maxReason {
		err = shortened{err, strings.ToValidUTF8(text[:maxReason], "") + "…"}
	}
	c.opts.Skip(string(key), err)
}

// maxReason is how much is said of a value that is none of ours, in octets: it may be
// a megabyte, and reasons quote it.
const maxReason = 500

// shortened is an error that says less.
type shortened struct {
	error
	text string
}

func (s shortened) Error() string { return s.text }
func (s shortened) Unwrap() error { return s.error }

// Skipped counts how often a value was met that is none of ours.
func (c *Client) Skipped() uint64 { return c.skipped.Load() }
