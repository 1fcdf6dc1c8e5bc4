package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

// A relay stands between a server and its etcd, and hands on what either says, message
// by message and unchanged. What etcd's watch says it can hold back and let go later, at
// a rate: by then etcd has had its work with the changes.
type relay struct {
	listener net.Listener
	server   *grpc.Server
	etcd     *grpc.ClientConn
	ended    chan struct{}

	mu    sync.Mutex
	moved *sync.Cond // shut has changed
	held  int        // changes that have come and not passed
	shut  bool       // nothing passes
	rate  int        // changes a second; 0: as many as come
	due   time.Time  // when the next change may pass
}

const (
	watchMethod = "/etcdserverpb.Watch/Watch"
	watchEvents = 11                    // field events of etcdserverpb.WatchResponse
	watchHeld   = 1 << 17               // messages of one watch that are held back
	relayLag    = 50 * time.Millisecond // what did not pass in time is made up for, but not more than this
	relayPause  = time.Millisecond      // no shorter ones are made
)

// newRelay makes a relay to the etcd at HOST:PORT.
func newRelay(to string) (*relay, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	etcd, err := grpc.NewClient("passthrough:///"+to, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(unread{}), grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("relay: %w", err), listener.Close())
	}
	r := &relay{listener: listener, etcd: etcd, ended: make(chan struct{})}
	r.moved = sync.NewCond(&r.mu)
	r.server = grpc.NewServer(grpc.ForceServerCodecV2(unread{}), grpc.UnknownServiceHandler(r.carry), grpc.MaxRecvMsgSize(math.MaxInt32),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second})) // as etcd's
	go func() {
		defer close(r.ended)
		_ = r.server.Serve(listener) // until close
	}()
	return r, nil
}

func (r *relay) url() string { return "http://" + r.listener.Addr().String() }

// close ends all that is under way, whether it is held back or not.
func (r *relay) close() {
	r.etcd.Close()
	r.release(0)
	r.server.Stop()
	<-r.ended
}

// hold holds back what the watch says from now on.
func (r *relay) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
}

// release lets so many changes a second pass; 0: as many as come.
func (r *relay) release(rate int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut, r.rate, r.due = false, rate, time.Now()
	r.moved.Broadcast()
}

// holds is how many changes have come and not passed yet.
func (r *relay) holds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// carry is one call of the server's.
func (r *relay) carry(_ any, server grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(server)
	said, _ := metadata.FromIncomingContext(server.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(server.Context(), said))
	defer cancel()
	etcd, err := r.etcd.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	go func() {
		switch err := hand(etcd.SendMsg, server.RecvMsg); {
		case errors.Is(err, io.EOF):
			_ = etcd.CloseSend()
		default:
			cancel()
		}
	}()
	send, done := server.SendMsg, func() error { return nil }
	if method == watchMethod {
		send, done = r.holding(server)
	}
	err = hand(send, etcd.RecvMsg)
	if err := done(); err != nil {
		return err
	}
	server.SetTrailer(etcd.Trailer())
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// hand gives to one side what comes from the other, until either fails.
func hand(send, receive func(any) error) error {
	for {
		var m message
		if err := receive(&m); err != nil {
			return err
		}
		if err := send(&m); err != nil {
			return err
		}
	}
}

// holding gives what takes the messages of a watch, to be sent when they may pass, and
// what awaits that all are sent.
func (r *relay) holding(server grpc.ServerStream) (take func(any) error, done func() error) {
	line, failed := make(chan *message, watchHeld), make(chan error, 1)
	go func() {
		var err error
		for m := range line {
			if r.let(m.changes()); err == nil {
				err = server.SendMsg(m)
			}
		}
		failed <- err
	}()
	take = func(m any) error {
		r.mu.Lock()
		r.held += m.(*message).changes()
		r.mu.Unlock()
		line <- m.(*message)
		return server.Context().Err()
	}
	return take, func() error { close(line); return <-failed }
}

// let waits until so many changes may pass.
func (r *relay) let(changes int) {
	r.mu.Lock()
	for r.shut {
		r.moved.Wait()
	}
	r.held -= changes
	at := r.pass(changes, time.Now())
	r.mu.Unlock()
	if wait := time.Until(at); wait > relayPause {
		time.Sleep(wait)
	}
}

// pass takes changes into account, and says when they may pass. r.mu is held.
func (r *relay) pass(changes int, now time.Time) time.Time {
	if r.rate == 0 {
		return now
	}
	if lag := now.Add(-relayLag); r.due.Before(lag) {
		r.due = lag
	}
	at := r.due
	r.due = r.due.Add(time.Duration(changes) * time.Second / time.Duration(r.rate))
	return at
}

// A message of gRPC, which is not looked into but for counting.
type message struct{ octets []byte }

// changes counts the events of a watch's response.
func (m *message) changes() (n int) {
	for b := m.octets; len(b) > 0; {
		number, _, size := protowire.ConsumeField(b)
		if size < 0 {
			return n
		}
		if number == watchEvents {
			n++
		}
		b = b[size:]
	}
	return n
}

// unread is the codec of messages.
type unread struct{}

// Name is that of the messages' own codec, which both sides believe to speak with.
func (unread) Name() string { return "proto" }

func (unread) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.(*message).octets)}, nil
}

func (unread) Unmarshal(data mem.BufferSlice, v any) error {
	v.(*message).octets = data.Materialize()
	return nil
}
