package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseVolume(t *testing.T) {
	for text, want := range map[string]float64{
		"BenchmarkVolume-2 \t 1\t89917170560 ns/op\t     22243 records/s\nPASS\n":  22243,
		"BenchmarkVolume   \t 1\t     17056 ns/op\t     1.5e+06 records/s\nPASS\n": 1.5e6,
	} {
		if have, err := parseVolume(text); err != nil || have != want {
			t.Errorf("%q: %v, %v", text, have, err)
		}
	}
	if _, err := parseVolume("PASS\n"); err == nil {
		t.Error("no rate is a rate")
	}
}

func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := paced(t.Context(), 100, 10*time.Millisecond, func(i int) (time.Duration, error) {
			if i == 50 {
				return -1, nil
			}
			return time.Duration(i+1) * time.Millisecond, nil
		})
		if err != nil || s.Asked != 100 || s.Lost != 1 || s.Completed != 99 || s.Longest != changePatience || s.Seconds < 0.99 {
			t.Errorf("%+v, %v", s, err)
		}
		broken := errors.New("broken")
		if _, err := paced(context.Background(), 2, time.Millisecond, func(int) (time.Duration, error) { return 0, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
	})
}

// A client that dozes asks as many, and takes the same answers, as one that does not.
func TestDoze(t *testing.T) {
	back, err := goFirst()
	if err != nil {
		t.Skip("needs root: ", err)
	}
	back()
	up := upstreamFor(t, 0)
	defer up.serve()()
	asked, err := questions(hostNames(0, 200))
	if err != nil {
		t.Fatal(err)
	}
	before := ownTime()
	w, err := Asking{Questions: asked, Count: 200, Rate: 100, Sockets: 2, Patience: 10 * time.Second, Doze: true}.run(up.Port)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Latencies) != 200 || w.Failed != 0 || w.Unanswered != 0 || w.Seconds < 1.9 {
		t.Errorf("right %d, failed %d, unanswered %d, in %v s", len(w.Latencies), w.Failed, w.Unanswered, w.Seconds)
	}
	if spent := ownTime() - before; spent > time.Second {
		t.Errorf("%v of CPU time in 2 s: it does not sleep", spent)
	}
}

func TestControlTargets(t *testing.T) {
	run := &Run{Entries: []Entry{{Name: changingRow, Ours: true}, {Name: steadyRow}}, Samples: []Sample{
		{Load: whileChanging, Contender: changingRow, Asked: 1, QPS: 95, P999: 3 * time.Millisecond, Changes: 51_000, LoadTime: 0},
		{Load: whileChanging, Contender: steadyRow, Asked: 1, QPS: 100, P999: time.Millisecond},
	}}
	reached := map[Metric]string{}
	for _, target := range targets {
		if target.Table == tableChanges {
			reached[target.Metric] = target.judge(run).Reached
		}
	}
	if reached[queryRate] != "yes" || reached[p999] != "no" || reached[thousandChanges] != "yes" {
		t.Errorf("%v", reached)
	}
	if run.loading(whileChanging) || !(&Run{Samples: []Sample{{Load: "x", LoadTime: 1}}}).loading("x") {
		t.Error("a start and questions are taken for each other")
	}
}
