package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrUnavailable is etcd without a leader, or not answering in time.
var ErrUnavailable = errors.New("etcd has no leader or did not answer")

// What an error can say of the state it leaves.
const (
	nothingChanged = "; nothing was changed"
	// A change that was proposed may still be made when the quorum is back.
	outcomeUnknown = "; whether the change was made is not known, ask again"
)

// fault names the operation and puts the many ways in which etcd can be away
// into one error. ctx is the caller's, without our own deadline.
func fault(ctx context.Context, op string, within time.Duration, state string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w%s", op, ctx.Err(), state)
	case away(err):
		return fmt.Errorf("%s: %w within %s%s (%w)", op, ErrUnavailable, within, state, err)
	}
	return fmt.Errorf("%s: %w%s", op, err, state)
}

// away tells etcd's absence from etcd's refusal.
func away(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var etcd rpctypes.EtcdError
	if errors.As(err, &etcd) {
		return etcd.Code() == codes.Unavailable
	}
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// Refused tells what will never be taken, however often it is written, from what
// may be later on.
func Refused(err error) bool {
	for _, never := range []error{ErrEdit, ErrCNAME, ErrSingle, rpctypes.ErrRequestTooLarge} {
		if errors.Is(err, never) {
			return true
		}
	}
	var etcd rpctypes.EtcdError // no space left is ResourceExhausted too, but etcd's own word
	return !errors.As(err, &etcd) && status.Code(err) == codes.ResourceExhausted
}
