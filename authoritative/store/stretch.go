package store

import (
	"encoding/binary"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A stretch is a part of a key range that one page is asked of. etcd counts all the
// keys that it is asked of, with its index locked, whatever the limit: with the end of
// two million keys in each of a thousand pages a reading took minutes of its time, and
// every change waited 0.1 s for each page. So a stretch ends where about a page of keys
// is guessed to. A wrong guess costs a request, and never a key.
type stretch struct{ start, stop string }

// after is the stretch behind one that gave page; more is false at the range's end.
func (s stretch) after(page *clientv3.GetResponse, end string) (next stretch, more bool) {
	reached, times := s.stop, uint64(2)
	switch {
	case page.More && len(page.Kvs) > 0:
		reached, times = string(page.Kvs[len(page.Kvs)-1].Key)+"\x00", 1
	case s.stop >= end:
		return stretch{}, false
	case len(page.Kvs) < pageKeys/8: // nearly nothing is here
		times = 16
	}
	return stretch{reached, min(beyond(s.start, reached, times), end)}, true
}

// window is how many octets of keys distances are reckoned in, behind those that
// two keys have in common.
const window = 6

// beyond is a key that is some times as far behind to as to is behind from; where that
// leaves what the two have in common, it is the end of the keys that begin so.
func beyond(from, to string, times uint64) string {
	n := 0
	for n < len(from) && n < len(to) && from[n] == to[n] {
		n++
	}
	a, b := windowAt(from, n), windowAt(to, n)
	if b += times * max(b-a, 1); b < 1<<(8*window) {
		var octets [8]byte
		binary.BigEndian.PutUint64(octets[:], b)
		return to[:n] + string(octets[8-window:])
	}
	for n > 0 && to[n-1] == 0xff {
		n--
	}
	if n == 0 {
		return strings.Repeat("\xff", 16) // behind every key of ours
	}
	return to[:n-1] + string([]byte{to[n-1] + 1})
}

func windowAt(key string, n int) uint64 {
	var octets [8]byte
	copy(octets[8-window:], key[n:])
	return binary.BigEndian.Uint64(octets[:])
}

// openings remember how far the first page of a range went, for its next reading.
type openings struct {
	mu   sync.Mutex
	stop map[string]string // by start
}

// manyOpenings are never remembered: ranges of single names come and go.
const manyOpenings = 64

// first is the stretch to begin with.
func (o *openings) first(start, end string) stretch {
	o.mu.Lock()
	defer o.mu.Unlock()
	if stop := o.stop[start]; stop > start && stop < end {
		return stretch{start, stop}
	}
	return stretch{start, end}
}

// note takes the stretch that a first page came from.
func (o *openings) note(s stretch, page *clientv3.GetResponse) {
	if !page.More || len(page.Kvs) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stop == nil || len(o.stop) >= manyOpenings {
		o.stop = map[string]string{}
	}
	o.stop[s.start] = string(page.Kvs[len(page.Kvs)-1].Key)
}
