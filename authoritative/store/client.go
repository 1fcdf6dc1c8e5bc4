package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// DefaultPrefix is where our keys are in etcd.
const DefaultPrefix = "/strata/v1"

// Options say how to reach etcd. Only Endpoints must be set.
type Options struct {
	Endpoints   []string // "http://127.0.0.1:2379"; https with TLS set
	Prefix      string   // default DefaultPrefix
	TLS         TLS
	User        string
	Password    string
	DialTimeout time.Duration // default 2s
	Timeout     time.Duration // of one read or write, default 5s

	Log *slog.Logger // default slog.Default()
	// Skip is told of each value in etcd that is none of ours. Default: a
	// warning in Log. It may be called by several goroutines at once.
	Skip func(key string, err error)
}

// TLS names PEM files. All empty: no TLS.
type TLS struct{ CA, Cert, Key string }

// A Client reads and writes records. It is safe for use by many goroutines.
type Client struct {
	opts Options
	keys keys
	log  *slog.Logger

	skipped  atomic.Uint64
	openings openings
	looked   atomic.Int64           // revision of the last fenced write; 0: it has to be read first
	refused  atomic.Pointer[string] // why TLS gave no connection the last time; nil: it did not say

	mu     sync.Mutex
	etcd   *clientv3.Client // nil until the first use that succeeded
	inside *inside          // nil: no member of this process is asked
	closed bool
}

// credit is how many octets either end takes before it has looked at those before: more
// than a page of a range or a request. Where it is left to gRPC, that measures how many
// are worth it by a ping for each message, which is four system calls and two threads woken
// on the way of every change.
const credit = 4 << 20

// ErrClosed is returned by a client that was closed.
var ErrClosed = errors.New("the etcd client is closed")

// Open makes a client. It does not wait for etcd, which may be away; errors are
// those of the options: no endpoint, a PEM file that can't be read.
func Open(opts Options) (*Client, error) {
	if len(opts.Endpoints) == 0 {
		return nil, errors.New("open etcd: no endpoints")
	}
	if _, err := opts.TLS.config(); err != nil {
		return nil, fmt.Errorf("open etcd: %w", err)
	}
	if opts.Prefix == "" {
		opts.Prefix = DefaultPrefix
	}
	if opts.DialTimeout <= 0 {
		opts.DialTimeout = 2 * time.Second
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	c := &Client{opts: opts, keys: newKeys(opts.Prefix), log: opts.Log}
	if c.opts.Skip == nil {
		c.opts.Skip = func(key string, err error) {
			c.log.Warn("record in etcd left out", "key", key, "error", err)
		}
	}
	return c, nil
}

// Close ends the client and all it has in flight.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var ends []*clientv3.Client
	if c.etcd != nil {
		ends = append(ends, c.etcd)
	}
	if c.inside != nil {
		ends = append(ends, c.inside.etcd)
	}
	c.etcd, c.inside = nil, nil
	for _, etcd := range ends {
		if err := etcd.Close(); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("close etcd client: %w", err)
		}
	}
	return nil
}

// conn gives the etcd client. Made on first use and not in Open, because with a
// user and a password etcd must answer for it to be made.
func (c *Client) conn() (*clientv3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if c.inside != nil {
		return c.inside.conn()
	}
	if c.etcd != nil {
		return c.etcd, nil
	}
	tls, err := c.opts.TLS.config()
	if err != nil {
		return nil, err
	}
	hush := &atomic.Bool{} // each try while etcd is away; our own words say it once
	hush.Store(true)
	etcd, err := clientv3.New(clientv3.Config{
		Endpoints:   c.opts.Endpoints,
		TLS:         tls,
		Username:    c.opts.User,
		Password:    c.opts.Password,
		DialTimeout: c.opts.DialTimeout,
		// A peer that vanished is noticed within 13 s by who watches (gRPC makes it 10 s
		// at least), within 3 s by a request after a pause. Without a stream there are no
		// pings: etcd ends the connection for them (too_many_pings).
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(c.reconnect()),
			grpc.WithStaticStreamWindowSize(credit), grpc.WithStaticConnWindowSize(credit),
			grpc.WithChainUnaryInterceptor(c.heed)},
		Logger: zapToSlog(c.log, "etcd client", hush),
	})
	if err != nil {
		return nil, err
	}
	c.etcd = etcd
	return etcd, nil
}

// reconnect keeps gRPC from waiting up to its two minutes when etcd was away for
// long: changes should be seen a second after it is back.
func (c *Client) reconnect() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: c.opts.DialTimeout,
	}
}
