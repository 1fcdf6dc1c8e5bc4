package store

import (
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

func TestBeyond(t *testing.T) {
	for _, c := range []struct {
		from, to string
		times    uint64
		want     string
	}{
		{"k/a", "k/b", 2, "k/d\x00\x00\x00\x00\x00"},
		{"k/a", "k/a\x00", 1, "k/a\x00\x00\x00\x00\x00\x01"},
		{"k/a000001", "k/a000002", 2, "k/a000004\x00\x00\x00\x00\x00"},
		{"k/a", "k/z", 16, "k0"}, // more than there is below k/
		{"\xffa", "\xff\xff", 2, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		if have := beyond(c.from, c.to, c.times); have != c.want {
			t.Errorf("%q and %d times as far as from %q: %q, not %q", c.to, c.times, c.from, have, c.want)
		}
	}
}

func FuzzBeyond(f *testing.F) {
	f.Add("k/a", "k/b", byte(2))
	f.Add("k/a\xff\xff", "k/b", byte(64))
	f.Fuzz(func(t *testing.T, from, to string, times byte) {
		if from < to && to[0] < 0xff {
			if have := beyond(from, to, uint64(times)+1); have <= to {
				t.Errorf("%q is not behind %q (from %q, %d times)", have, to, from, times)
			}
		}
	})
}

// All keys are read once, in their order, whatever their shapes; and what etcd has to
// count for it is a few times the keys, not a multiple that grows with them.
func TestReadsInStretches(t *testing.T) {
	c := client(t, member(t).Endpoints()...)
	etcd, err := c.conn()
	if err != nil {
		t.Fatal(err)
	}
	k := newKeys(DefaultPrefix)
	var want []string
	for i := range 60_000 {
		shape := []string{"h%d.example.org", "h%06d.dc.example.org", "x.h%d.svc.ns%[1]d.example.org", "%08x.pod.example.org", "a.very.long.way.down.h%d.example.net"}[i%5]
		rec := record(t, fmt.Sprintf(shape, i), "A", "static", 30, "10.0.0.1")
		want = append(want, k.key(rec.Name, rec.Type, rec.Owner))
	}
	group := errgroup.Group{}
	group.SetLimit(16)
	for at := 0; at < len(want); at += 100 {
		group.Go(func() error {
			var puts []clientv3.Op
			for _, key := range want[at : at+100] {
				puts = append(puts, clientv3.OpPut(key, `{"ttl":30,"data":["10.0.0.1"]}`))
			}
			_, err := etcd.Txn(t.Context()).Then(puts...).Commit()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, key := range want {
		missing[key] = true
	}
	start, end := k.all()
	for reading := range 2 {
		left, last, counted := len(missing), "", int64(0)
		p, err := c.openRange(t.Context(), start, end)
		if err != nil {
			t.Fatal(err)
		}
		for page, of, more := p.page, p.of, true; more; {
			counted += page.Count
			for _, kv := range page.Kvs {
				if key := string(kv.Key); key <= last || !missing[key] {
					t.Fatalf("%q behind %q", key, last)
				} else {
					last = key
				}
				left--
			}
			if of, more = of.after(page, end); more {
				if page, err = p.ask(t.Context(), of); err != nil {
					t.Fatal(err)
				}
			}
		}
		if most := int64(7 * len(want)); left != 0 || counted > most {
			t.Errorf("reading %d: %d keys were not read; etcd counted %d, more than %d", reading, left, counted, most)
		}
		t.Logf("reading %d: etcd counted %d", reading, counted)
	}
	if s := c.openings.first(start, end); s.stop == end {
		t.Error("the second reading would begin with a count of all")
	}
	n := 0
	for rec, err := range c.List(t.Context(), []byte("\x07example\x03org\x00"), "") {
		if err != nil {
			t.Fatal(rec, err)
		}
		n++
	}
	if n != 48_000 {
		t.Errorf("%d records below example.org", n)
	}
}
