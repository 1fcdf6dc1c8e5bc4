package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A Fence keeps a writer that is behind from undoing what another one, who knows
// more, has written. Writers of one fence say how far each one's knowledge goes:
// the place in a history that they all follow. The farthest that anything was
// written from stands in etcd,
//
//	<prefix>/fences/<name>   a decimal number of 19 digits
//
// put with every transaction, each of which is bound to its not being farther than the
// writer's own.
type Fence struct {
	Name     string // 1 to MaxOwner octets
	Position int64  // not negative
}

// ErrBehind is a write from knowledge that is older than another writer's. Nothing
// was changed. The error is a [BehindError].
var ErrBehind = errors.New("another writer knows more")

// A BehindError says how far behind a writer is.
type BehindError struct{ Own, Fence int64 }

func (e *BehindError) Error() string {
	return fmt.Sprintf("%v: it has written from %d, and this one knows up to %d%s", ErrBehind, e.Fence, e.Own, nothingChanged)
}

// Is makes it an ErrBehind.
func (e *BehindError) Is(target error) bool { return target == ErrBehind }

// fenceDigits make the order of the texts that of the numbers.
const fenceDigits = 19

func (f Fence) check() error {
	if len(f.Name) == 0 || len(f.Name) > MaxOwner || f.Position < 0 {
		return fmt.Errorf("%w: fence %q at %d", ErrEdit, f.Name, f.Position)
	}
	return nil
}

func fenceText(position int64) string { return fmt.Sprintf("%0*d", fenceDigits, position) }

// fence is where a fence stands: beside the records, where no watch of them looks.
func (k keys) fence(name string) string {
	b := append([]byte(nil), k.records[:len(k.records)-len("records/")]...)
	return string(appendEscaped(append(b, "fences/"...), name, ownerPlain))
}

// bound is what must hold of the fence as it was read. A value that is none of ours is
// as good as none: it is written over, by its mod revision.
func (f Fence) bound(key string, kvs []*mvccpb.KeyValue) (cmp clientv3.Cmp, err error) {
	if len(kvs) == 0 {
		return clientv3.Compare(clientv3.ModRevision(key), "=", 0), nil
	}
	text := string(kvs[0].Value)
	at, bad := strconv.ParseInt(text, 10, 64)
	if bad != nil || fenceText(at) != text {
		return clientv3.Compare(clientv3.ModRevision(key), "=", kvs[0].ModRevision), nil
	}
	if at > f.Position {
		return cmp, &BehindError{Own: f.Position, Fence: at}
	}
	return clientv3.Compare(clientv3.Value(key), "<", fenceText(f.Position)+"\x00"), nil
}

// MoveFence puts a fence where it says, back too: where the history that the
// writers follow has itself gone back.
func (c *Client) MoveFence(ctx context.Context, fence Fence) error {
	if err := fence.check(); err != nil {
		return fmt.Errorf("move fence: %w", err)
	}
	etcd, err := c.conn()
	if err != nil {
		return c.fault(ctx, "move fence", c.opts.DialTimeout, nothingChanged, err)
	}
	timed, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), c.opts.Timeout)
	defer cancel()
	if _, err := etcd.Put(timed, c.keys.fence(fence.Name), fenceText(fence.Position)); err != nil {
		return c.fault(ctx, "move fence", c.opts.Timeout, outcomeUnknown, err)
	}
	return nil
}
