package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
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
// into one error, with why there is no connection where TLS is to blame. ctx is the
// caller's, without our own deadline.
func (c *Client) fault(ctx context.Context, op string, within time.Duration, state string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w%s", op, ctx.Err(), state)
	case away(err):
		if why := c.refused.Load(); why != nil {
			return fmt.Errorf("%s: %w within %s%s (%s)", op, ErrUnavailable, within, state, *why)
		}
		return fmt.Errorf("%s: %w within %s%s (%w)", op, ErrUnavailable, within, state, err)
	}
	return fmt.Errorf("%s: %w%s", op, err, state)
}

// heed notes why a call found no connection, which etcd's client keeps to itself: it
// tries again until time is up.
func (c *Client) heed(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, request, reply, conn, opts...)
	var why *string
	if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
		why = tlsTrouble(status.Convert(err).Message())
	}
	c.refused.Store(why)
	return err
}

// tlsTrouble is what a failure says of TLS; nil: nothing. It is the same each time, without
// the time of day.
func tlsTrouble(text string) *string {
	at := strings.Index(text, "tls: ")
	if at < 0 {
		return nil
	}
	text, _, _ = strings.Cut(text[at:], ": current time ")
	text = strings.TrimRight(text, `"`)
	return &text
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
