package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// Changes pass a relay no faster than its rate allows, but for what was late.
func TestRelayPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &relay{rate: 50_000, due: time.Now()}
		began := time.Now()
		for range 4000 { // 100,000 changes
			time.Sleep(time.Until(r.pass(25, time.Now())))
		}
		if took := time.Since(began); took < 1990*time.Millisecond || took > 2*time.Second {
			t.Errorf("100,000 changes at 50,000 a second took %v", took)
		}
		time.Sleep(time.Minute) // not made use of
		began = time.Now()
		for range 400 {
			time.Sleep(time.Until(r.pass(25, time.Now())))
		}
		if took := time.Since(began); took < 140*time.Millisecond {
			t.Errorf("10,000 changes passed in %v: a minute of rest was saved up", took)
		}
		r.rate = 0
		if now := time.Now(); r.pass(1<<30, now) != now {
			t.Error("without a rate there is a wait")
		}
	})
}

// response is a watch's, with so many events behind a number that tells it from others.
func response(number uint64, events int) *message {
	b := protowire.AppendTag(nil, 2, protowire.VarintType)
	b = protowire.AppendVarint(b, number)
	for range events {
		b = protowire.AppendTag(b, watchEvents, protowire.BytesType)
		b = protowire.AppendString(b, "event")
	}
	return &message{b}
}

func TestMessageChanges(t *testing.T) {
	m := response(7, 25)
	if n := m.changes(); n != 25 {
		t.Errorf("%d changes, not 25", n)
	}
	m.octets = m.octets[:len(m.octets)-1]
	if n := m.changes(); n != 24 {
		t.Errorf("%d changes in what is cut off, not 24", n)
	}
}

// served gives the address of a gRPC server that does as f with every call.
func served(t *testing.T, f grpc.StreamHandler) string {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(unread{}), grpc.UnknownServiceHandler(f))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// through gives a client of a relay before an address.
func through(t *testing.T, to string) (*relay, *grpc.ClientConn) {
	r, err := newRelay(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	client, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(r.url(), "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(unread{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return r, client
}

// What a watch says is held back, and comes then whole, in order and unchanged.
func TestRelayHolds(t *testing.T) {
	const responses, events = 200, 25
	r, client := through(t, served(t, func(_ any, s grpc.ServerStream) error {
		for n := range responses {
			if err := s.SendMsg(response(uint64(n), events)); err != nil {
				return err
			}
		}
		<-s.Context().Done()
		return nil
	}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r.hold()
	watch, err := client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, watchMethod)
	if err != nil {
		t.Fatal(err)
	}
	come := make(chan *message)
	go func() {
		defer close(come)
		for {
			m := new(message)
			if watch.RecvMsg(m) != nil {
				return
			}
			come <- m
		}
	}()
	if err := until(ctx, "all that is held back", func() bool { return r.holds() == responses*events }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-come:
		t.Fatal("what is held back has passed")
	default:
	}
	const rate = 10_000
	began := time.Now()
	r.release(rate)
	for n := range responses {
		m, open := <-come
		if want := response(uint64(n), events); !open || string(m.octets) != string(want.octets) {
			t.Fatalf("response %d is %v, %v", n, m, open)
		}
	}
	if took, least := time.Since(began), responses*events*time.Second/rate-relayLag-10*relayPause; took < least {
		t.Errorf("it took %v, not %v", took, least)
	}
	if n := r.holds(); n != 0 {
		t.Errorf("%d are held back yet", n)
	}
}

// What is no watch passes at once, with all that belongs to it, and so do errors.
func TestRelayHandsOn(t *testing.T) {
	r, client := through(t, served(t, func(_ any, s grpc.ServerStream) error {
		said, _ := metadata.FromIncomingContext(s.Context())
		var m message
		if err := s.RecvMsg(&m); err != nil {
			return err
		}
		if string(m.octets) == "fail" {
			return status.Error(codes.OutOfRange, "compacted")
		}
		return s.SendMsg(&message{fmt.Appendf(nil, "%s %s", m.octets, said.Get("hasleader"))})
	}))
	r.hold()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "hasleader", "true"), time.Minute)
	defer cancel()
	var reply message
	if err := client.Invoke(ctx, "/etcdserverpb.KV/Range", &message{[]byte("range")}, &reply); err != nil || string(reply.octets) != "range [true]" {
		t.Errorf("%q, %v", reply.octets, err)
	}
	err := client.Invoke(ctx, "/etcdserverpb.KV/Range", &message{[]byte("fail")}, &reply)
	if status.Code(err) != codes.OutOfRange || status.Convert(err).Message() != "compacted" {
		t.Errorf("an error comes as %v", err)
	}
}
