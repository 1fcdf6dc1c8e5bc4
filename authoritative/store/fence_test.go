package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// A writer that knows less than another one has written from changes nothing: it
// neither puts back what was changed nor what was deleted.
func TestFence(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	write := func(position int64, op Op, data ...string) error {
		_, err := c.WriteFenced(t.Context(), Fence{Name: "kubernetes:a", Position: position}, Edit{op, record(t, "a.example.org", "A", "kubernetes:a", 5, data...)})
		return err
	}
	for _, step := range []struct {
		position int64
		op       Op
		data     string
		behind   bool
		want     string
	}{
		{100, Set, "10.0.0.1", false, "10.0.0.1"},
		{100, Set, "10.0.0.2", false, "10.0.0.2"}, // as far as it stands
		{99, Set, "10.0.0.1", true, "10.0.0.2"},
		{99, Set, "10.0.0.2", false, "10.0.0.2"}, // already right: nobody minds
		{99, Remove, "", true, "10.0.0.2"},
		{1000, Remove, "", false, ""}, // more digits
		{999, Set, "10.0.0.1", true, ""},
		{1 << 62, Set, "10.0.0.3", false, "10.0.0.3"},
	} {
		var data []string
		if step.data != "" {
			data = append(data, step.data)
		}
		err := write(step.position, step.op, data...)
		if errors.Is(err, ErrBehind) != step.behind || err != nil && !step.behind {
			t.Errorf("%+v: %v", step, err)
		}
		want := ""
		if step.want != "" {
			want = "a.example.org. A (kubernetes:a) 5 " + step.want
		}
		if got := strings.Join(stored(t, c), "\n"); got != want {
			t.Errorf("%+v: %q, want %q", step, got, want)
		}
	}
	if _, err := c.WriteFenced(t.Context(), Fence{Name: "kubernetes:b"}, Edit{Set, record(t, "b.example.org", "A", "kubernetes:b", 5, "10.0.0.1")}); err != nil {
		t.Errorf("another fence: %v", err)
	}
	raw(t, c, "/strata/v1/fences/kubernetes:b", "junk")
	for range 2 { // once over the junk, and then as ever
		if _, err := c.WriteFenced(t.Context(), Fence{Name: "kubernetes:b", Position: 7}, Edit{Set, record(t, "b.example.org", "AAAA", "kubernetes:b", 5, "::7")}); err != nil {
			t.Errorf("over what is no fence: %v", err)
		}
	}
	if err := c.MoveFence(t.Context(), Fence{Name: "kubernetes:b", Position: 3}); err != nil {
		t.Error(err)
	}
	_, err := c.WriteFenced(t.Context(), Fence{Name: "kubernetes:b", Position: 2}, Edit{Set, record(t, "b.example.org", "AAAA", "kubernetes:b", 5, "::8")})
	if behind := new(BehindError); !errors.As(err, &behind) || *behind != (BehindError{Own: 2, Fence: 3}) {
		t.Errorf("behind a fence that was moved back: %v", err)
	}
	if err := (Fence{}).check(); !errors.Is(err, ErrEdit) {
		t.Errorf("a fence without name: %v", err)
	}
}

// Many writers at once, each with its own knowledge: what the farthest one wrote
// stands.
func TestFenceAtOnce(t *testing.T) {
	t.Parallel()
	m := member(t)
	c := client(t, m.Endpoints()...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var writers sync.WaitGroup
	for position := range 20 {
		writers.Go(func() {
			rec := record(t, "a.example.org", "A", "kubernetes:a", uint32(position), "10.0.0.1")
			_, err := c.WriteFenced(ctx, Fence{Name: "a", Position: int64(position)}, Edit{Set, rec})
			if err != nil && !errors.Is(err, ErrBehind) {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if got, want := strings.Join(stored(t, c), "\n"), "a.example.org. A (kubernetes:a) 19 10.0.0.1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
