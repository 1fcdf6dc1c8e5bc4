package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Health is what stands in etcd about one address,
//
//	<prefix>/health/<ip>   {"state":"down","since":"2026-01-02T15:04:05.000Z","by":"prober-a"}
//
// Since is by the clock of the prober that saw the change: for people, nothing
// depends on it. By is the prober that vouches for it.
type Health struct {
	Address  netip.Addr
	State    State
	Since    time.Time
	By       string
	Revision int64 // of the key's last change; 0: there is no key
}

// A State is an address's. Unknown is as good as Up: there is no key, or what
// stands there cannot be read.
type State uint8

// The states.
const (
	Unknown State = iota
	Up
	Down
)

func (s State) String() string { return [...]string{"unknown", "up", "down"}[min(s, Down)] }

// ErrHealth is a key or a value under health/ that is none of ours.
var ErrHealth = errors.New("not the health of an address")

// A healthValue is the value of a key. Fields that it does not know are let pass.
type healthValue struct {
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	By    string    `json:"by,omitempty"`
}

func (h *Health) value() (string, error) {
	raw, err := json.Marshal(healthValue{h.State.String(), h.Since.UTC().Round(time.Millisecond), h.By})
	return string(raw), err
}

// folder is the folder beside the records' with this name.
func (k keys) folder(name string) string {
	return k.records[:len(k.records)-len("records/")] + name + "/"
}

func (k keys) health(addr netip.Addr) string { return k.folder("health") + addr.String() }

// healthAddress reads the address in a key. Each address has one key only.
func (k keys) healthAddress(key []byte) (netip.Addr, error) {
	text := string(key[min(len(k.folder("health")), len(key)):])
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4In6() || addr.String() != text {
		return netip.Addr{}, fmt.Errorf("%w: %q is no address as it is written in keys", ErrHealth, text)
	}
	return addr, nil
}

// parseHealth reads a key and its value. With an error that is the value's, the
// address is known and its state is not.
func (k keys) parseHealth(kv *mvccpb.KeyValue) (Health, error) {
	addr, err := k.healthAddress(kv.Key)
	if err != nil {
		return Health{}, err
	}
	h := Health{Address: addr, Revision: kv.ModRevision}
	var v healthValue
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		return h, fmt.Errorf("%w: %w", ErrHealth, err)
	}
	switch v.State {
	case "up":
		h.State = Up
	case "down":
		h.State = Down
	default:
		return h, fmt.Errorf("%w: state %q is neither up nor down", ErrHealth, v.State)
	}
	h.Since, h.By = v.Since, v.By
	return h, nil
}

// A HealthSink is told of the health of addresses, by one goroutine at a time.
type HealthSink interface {
	// ReplaceHealth is told of all keys there are. What is Unknown stands there
	// and cannot be read.
	ReplaceHealth(all []Health)
	// ApplyHealth is told of what changed, in order. What is Unknown with a
	// revision cannot be read; without, it is gone.
	ApplyHealth(changed []Health)
}

// FollowHealth keeps a sink as etcd is, until ctx ends. Errors are logged, and
// tried again.
func (c *Client) FollowHealth(ctx context.Context, sink HealthSink) {
	decode := func(entries []entry) []Health {
		all := make([]Health, 0, len(entries))
		for _, e := range entries {
			if e.deleted {
				if addr, err := c.keys.healthAddress(e.kv.Key); err == nil {
					all = append(all, Health{Address: addr})
				}
				continue
			}
			h, err := c.keys.parseHealth(e.kv)
			if err != nil {
				c.skip(e.kv.Key, err)
			}
			if h.Address.IsValid() {
				all = append(all, h)
			}
		}
		return all
	}
	c.follow(ctx, c.keys.folder("health"), "health",
		func(entries []entry) { sink.ReplaceHealth(decode(entries)) },
		func(entries []entry) { sink.ApplyHealth(decode(entries)) })
}

// A HealthEdit is one wish for WriteHealth: Health as it shall be, Unknown to have
// no key, where the key's revision still is Health.Revision.
type HealthEdit struct{ Health }

// healthKeys bounds a transaction: etcd takes 128 comparisons, and one is the
// registration's.
const healthKeys = 100

// WriteHealth writes what can be written: each edit is bound to the revision it
// was decided on, and all to the registration. It returns the health as it is now
// of the addresses that were edited: what is not as wished was changed by somebody
// else. Errors: ErrUnregistered and ErrUnavailable; what is returned was done
// before.
func (c *Client) WriteHealth(ctx context.Context, by *Registration, edits []HealthEdit) (now []Health, err error) {
	for begin := 0; begin < len(edits); begin += healthKeys {
		part := edits[begin:min(begin+healthKeys, len(edits))]
		done, err := c.writeHealth(ctx, by, part)
		now = append(now, done...)
		if err != nil {
			return now, fmt.Errorf("write the health of %d addresses from %s on: %w", len(part), part[0].Address, err)
		}
	}
	return now, nil
}

// writeHealth makes one transaction. Where somebody changed one of its keys, those
// that nobody did are tried again.
func (c *Client) writeHealth(ctx context.Context, by *Registration, edits []HealthEdit) (now []Health, err error) {
	for len(edits) > 0 {
		done, current, err := c.tryHealth(ctx, by, edits)
		if err != nil {
			return now, err
		}
		if done > 0 {
			for _, e := range edits {
				if e.Health.Revision = done; e.State == Unknown {
					e.Health = Health{Address: e.Address}
				}
				now = append(now, e.Health)
			}
			return now, nil
		}
		var still []HealthEdit
		for i, e := range edits {
			if current[i].Revision == e.Revision {
				still = append(still, e)
			} else {
				now = append(now, current[i])
			}
		}
		edits = still
	}
	return now, nil
}

// tryHealth gives the revision of the transaction, or, where it was not made, how
// the keys are.
func (c *Client) tryHealth(ctx context.Context, by *Registration, edits []HealthEdit) (done int64, current []Health, err error) {
	etcd, err := c.conn()
	if err != nil {
		return 0, nil, c.fault(ctx, "write health", c.opts.DialTimeout, nothingChanged, err)
	}
	cmps := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(by.key), "=", by.revision)}
	var puts, gets []clientv3.Op
	for i := range edits {
		key := c.keys.health(edits[i].Address)
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(key), "=", edits[i].Revision))
		gets = append(gets, clientv3.OpGet(key))
		if edits[i].State == Unknown {
			puts = append(puts, clientv3.OpDelete(key))
			continue
		}
		value, err := edits[i].value()
		if err != nil {
			return 0, nil, err
		}
		puts = append(puts, clientv3.OpPut(key, value))
	}
	gets = append(gets, clientv3.OpGet(by.key, clientv3.WithKeysOnly()))
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.opts.Timeout)
	defer cancel()
	resp, err := etcd.Txn(timed).If(cmps...).Then(puts...).Else(gets...).Commit()
	if err != nil {
		return 0, nil, c.fault(ctx, "write health", c.opts.Timeout, outcomeUnknown, err)
	}
	if resp.Succeeded {
		return resp.Header.Revision, nil, nil
	}
	own := resp.Responses[len(edits)].GetResponseRange().Kvs
	if len(own) == 0 || own[0].ModRevision != by.revision {
		return 0, nil, ErrUnregistered
	}
	for i := range edits {
		h := Health{Address: edits[i].Address}
		if kvs := resp.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
			if h, err = c.keys.parseHealth(kvs[0]); err != nil {
				c.skip(kvs[0].Key, err)
			}
		}
		current = append(current, h)
	}
	return 0, current, nil
}
