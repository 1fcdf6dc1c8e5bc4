package store

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Who waits before etcd is tried again waits no longer when it is back.
func TestRetryEndsWhenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := make(chan struct{}, 1)
		b := retrying{most: time.Hour, tries: 20, log: slog.New(slog.DiscardHandler), back: back}
		time.AfterFunc(time.Second, func() { back <- struct{}{} })
		began := time.Now()
		b.wait(t.Context(), errors.New("away"))
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited %v, not 1s", took)
		}
		began = time.Now()
		b.wait(t.Context(), errors.New("away again"))
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("then waited %v, as if it had been away all the time", took)
		}
	})
}

// The beat tells when etcd is back, and not when it was there all the time.
func TestBeatTellsBack(t *testing.T) {
	t.Parallel()
	m := member(t)
	r := newRelay(t, m.Endpoints()[0])
	w := NewWatcher(client(t, r.url()), &tableSink{}, WatchOptions{Beat: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.beat(ctx) }()
	defer func() { cancel(); <-ended }()
	until(t, "connected", w.Connected)
	select {
	case <-w.back:
		t.Error("back without having been away")
	default:
	}
	r.set(true)
	until(t, "cut off", func() bool { return !w.Connected() })
	r.set(false)
	select {
	case <-w.back:
	case <-time.After(time.Minute):
		t.Error("nobody is told that etcd is back")
	}
}
