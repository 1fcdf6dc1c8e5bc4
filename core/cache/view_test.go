package cache

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/strata-dns/strata/core/wire"
)

// views have all their answers told apart by the address.
var views = []uint32{0, 1, 0xfffffffe, 0xffffffff}

func viewAddress(view uint32) string { return fmt.Sprintf("10.0.0.%d", view&0xff) }

// waitIn asks as somebody does who has a view.
func (s *scene) waitIn(view uint32, name string, typ uint16, options ...option) mailbox {
	s.t.Helper()
	q := newQuery(s.t, name, typ, options...)
	q.View = view
	box := make(mailbox, 2)
	if b, state := s.Answer(&q.Query, q.data, q.Limit(false, 1232), s.Now()); state != Miss {
		box.Deliver(b, state)
		return box
	}
	s.Wait(&q.Query, q.data, q.Limit(false, 1232), s.Now(), box)
	return box
}

// serveAll answers all that has gone upstream as its view has it, or fails.
func (s *scene) serveAll(fail bool) {
	synctest.Wait()
	s.mu.Lock()
	calls := s.calls
	s.calls = nil
	s.mu.Unlock()
	for _, c := range calls {
		if fail {
			c.fail()
			continue
		}
		c.answer(fmt.Sprintf("%s 60 A %s", wire.NameString(c.Name), viewAddress(c.View)))
	}
}

// What is known in one view is never told in another: fresh, refreshed, stale, by a
// flight that is joined, or read from a file.
func TestViews(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			what, name string
			view       uint32
			ms         int
		}
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				rapid.SampledFrom([]string{"ask", "ask", "ask", "serve", "fail", "pass", "save"}).Draw(rt, "what"),
				rapid.SampledFrom([]string{"a.example.", "b.example."}).Draw(rt, "name"),
				rapid.SampledFrom(views).Draw(rt, "view"), rapid.IntRange(1, 70_000).Draw(rt, "ms"),
			}
		}), 1, 60).Draw(rt, "steps")
		file, leak := filepath.Join(t.TempDir(), "cache"), ""
		play(t, Options{Prefetch: true, StaleFor: time.Hour}, func(s *scene) {
			type asker struct {
				view uint32
				name string
				box  mailbox
			}
			var open []asker
			read := func() {
				synctest.Wait()
				left := open[:0]
				for _, a := range open {
					select {
					case b := <-a.box:
						m := unpack(t, b)
						if m.Rcode == dns.RcodeSuccess && (len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != viewAddress(a.view)) {
							leak = fmt.Sprintf("view %x, %s: %v", a.view, a.name, m.Answer)
						}
					default:
						left = append(left, a)
					}
				}
				open = left
			}
			for _, step := range steps {
				switch step.what {
				case "ask":
					a := asker{view: step.view, name: step.name}
					a.box = s.waitIn(a.view, a.name, dns.TypeA)
					open = append(open, a)
				case "serve":
					s.serveAll(false)
				case "fail":
					s.serveAll(true)
				case "pass":
					time.Sleep(time.Duration(step.ms) * time.Millisecond)
				case "save":
					if _, err := s.Save(file); err != nil {
						leak = err.Error()
					}
					s.Flush(Match{})
					if _, err := s.Load(file); err != nil {
						leak = err.Error()
					}
				}
				read()
			}
			s.serveAll(false)
		})
		if leak != "" {
			rt.Fatal(leak)
		}
	})
}

// A saved entry is found again in its own view alone.
func TestViewSaved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	play(t, Options{}, func(s *scene) {
		for _, view := range views {
			box := s.waitIn(view, "a.example.", dns.TypeA)
			s.serveAll(false)
			s.reply(box)
		}
		if n, err := s.Save(file); err != nil || n != len(views) {
			t.Fatal(n, err)
		}
	})
	play(t, Options{}, func(s *scene) {
		if n, err := s.Load(file); err != nil || n != len(views) {
			t.Fatal(n, err)
		}
		for _, view := range views {
			if a := s.reply(s.waitIn(view, "a.example.", dns.TypeA)).Answer[0].(*dns.A).A.String(); a != viewAddress(view) {
				t.Errorf("view %x: %s", view, a)
			}
		}
		for item := range s.Dump() {
			var m dns.Msg
			if err := m.Unpack(item.Message); err != nil || m.Answer[0].(*dns.A).A.String() != viewAddress(item.View) {
				t.Errorf("dump: view %x, %v", item.View, m.Answer)
			}
		}
		s.quiet()
		box := s.waitIn(7, "a.example.", dns.TypeA)
		s.silent(box)
		s.serveAll(false)
	})
}
