package failover

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// The reading side runs per query, a passive result per exchange.
func TestReadSideAllocatesNothing(t *testing.T) {
	s := tell(t, twoSites()).lose("a1")
	now := s.now.Add(time.Second)
	n := 0
	for name, read := range map[string]func(){
		"current": func() {
			set := s.Current()
			for i := range set.Servers[:set.Fit] {
				n += len(set.Servers[i].Address)
			}
		},
		"good exchange":           func() { s.Result(Result{Server: "a2", At: now, OK: true, How: Passive}) },
		"bad one, server down":    func() { s.Result(Result{Server: "a1", At: now, How: Passive, Err: errSilent}) },
		"of a server now removed": func() { s.Result(Result{Server: "a9", At: now, How: Passive}) },
	} {
		if got := testing.AllocsPerRun(1000, read); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
	st := s.Status().Sites[0].Servers
	if st[0].PassiveFailed != 1001 || st[1].PassiveOK != 1001 {
		t.Errorf("counted %d bad and %d good exchanges, want 1001 each", st[0].PassiveFailed, st[1].PassiveOK)
	}
}

// Readers see whole sets while everything about them changes.
func TestConcurrentReaders(t *testing.T) {
	cfg := twoSites()
	var last string // guarded by the fleet's promise to tell one event at a time
	cfg.OnEvent = func(e Event) { last = e.Subject() + e.To }
	f, err := New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() { readUntil(t, f, stop) })
	}
	for w := range 4 {
		writers.Go(func() {
			for i := range 2000 {
				now := start.Add(time.Duration(i) * time.Second)
				address := []string{"a1", "a2", "b1"}[(i+w)%3]
				f.Result(Result{Server: address, At: now, OK: i%7 < 3, How: How(i % 2), RTT: 1})
				switch i % 500 {
				case 100:
					_ = f.Pin(fmt.Sprint("dc", 1+w%2), now)
				case 200:
					f.Release(now)
				case 300:
					if err := f.Reconfigure(twoSites(), now); err != nil {
						t.Error(err)
					}
				}
				f.Take(now, 1)
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if last == "" {
		t.Error("nothing happened")
	}
}

func readUntil(t *testing.T, f *Fleet, stop chan struct{}) {
	for {
		set := f.Current()
		for i, s := range set.Servers {
			if s.State.Fit() != (i < set.Fit) || set.Mode == Home && s.Away {
				t.Errorf("half a set: %+v", set)
			}
		}
		if len(set.Servers) == 0 {
			t.Error("an empty set")
		}
		_, _ = f.Status(), f.History()
		select {
		case <-stop:
			return
		default:
		}
	}
}

// Whoever listens may call the fleet; what that causes is told afterwards.
func TestListenerMayCall(t *testing.T) {
	cfg := twoSites()
	var f *Fleet
	var told []string
	cfg.OnEvent = func(e Event) {
		told = append(told, e.Subject()+" "+e.To)
		if e.To == "swung" {
			if err := f.Pin("dc1", e.At); err != nil {
				t.Error(err)
			}
			_ = f.Status()
		}
	}
	f, err := New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f.Result(Result{Server: "a1", At: start})
		f.Result(Result{Server: "a2", At: start})
	}
	want := "[server a1 suspect server a2 suspect server a1 down server a2 down fleet swung site dc2 serving fleet pinned dc1 site dc2 standby]"
	if got := fmt.Sprint(told); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
}

func BenchmarkCurrent(b *testing.B) {
	f, err := New(twoSites(), start)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Result(Result{Server: f.Current().Servers[0].Address, OK: true, How: Passive})
	}
}
