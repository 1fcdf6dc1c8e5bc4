package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A failed reload leaves its mark everywhere until one succeeds.
func TestReload(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	d.Add(newPart("socket", j))
	var wrong atomic.Bool
	d.OnReload(func(context.Context) error {
		if wrong.Load() {
			return errors.New("test.yaml:3: bad")
		}
		return nil
	})
	begin(t, d)
	if _, body := get(t, d, "/metrics"); !strings.Contains(body, "strata_config_reload_failed 0\n") {
		t.Errorf("metrics: %s", body)
	}
	wrong.Store(true)
	_, err := ctl(t, d, false, "reload")
	if err == nil || err.Error() != "reload: the old config stays: test.yaml:3: bad" {
		t.Errorf("got %v", err)
	}
	var status struct {
		Config struct {
			Reload Reload `json:"reload"`
		} `json:"config"`
	}
	_, body := get(t, d, "/status")
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	if r := status.Config.Reload; !r.Failed || r.Error != "test.yaml:3: bad" || r.Attempt.Before(r.Success) {
		t.Errorf("got %+v", r)
	}
	if _, body := get(t, d, "/metrics"); !strings.Contains(body, "strata_config_reload_failed 1\n") {
		t.Errorf("metrics: %s", body)
	}
	if _, body := get(t, d, "/"); !strings.Contains(body, "test.yaml:3: bad") {
		t.Errorf("page: %s", body)
	}
	wrong.Store(false)
	if out, err := ctl(t, d, false, "reload"); err != nil || out != "reloaded test.yaml\n" {
		t.Errorf("got %q, %v", out, err)
	}
	var reload Reload
	if out, err := ctl(t, d, true, "reload"); err != nil || json.Unmarshal([]byte(out), &reload) != nil || reload.Success.IsZero() {
		t.Errorf("got %q, %v", out, err)
	}
	if r := d.LastReload(); r.Failed || r.Error != "" || r.Success.Before(r.Attempt) {
		t.Errorf("got %+v", r)
	}
}

func TestReloadOfNothing(t *testing.T) {
	d := testDaemon(t)
	begin(t, d)
	if _, err := ctl(t, d, false, "reload"); !strings.Contains(err.Error(), "nothing to reload") {
		t.Errorf("got %v", err)
	}
}

func TestStatusAndStats(t *testing.T) {
	d, j := testDaemon(t), new(journal)
	d.Add(newPart("socket", j), newPart("socket", j)) // two of one name must not break a scrape
	d.AddStatus("cache", func() any { return map[string]int{"entries": 7} })
	d.AddStatus("broken", func() any { return make(chan int) })
	queries := prometheus.NewCounter(prometheus.CounterOpts{Name: "strata_queries_total", Help: "Questions."})
	queries.Add(42)
	d.Registry().MustRegister(queries)
	begin(t, d)

	out, err := ctl(t, d, true, "status")
	var status map[string]json.RawMessage
	if err != nil || json.Unmarshal([]byte(out), &status) != nil {
		t.Fatalf("got %q, %v", out, err)
	}
	if string(status["name"]) != `"test"` || string(status["cache"]) != `{"entries":7}` || !strings.Contains(string(status["broken"]), "cannot be shown") {
		t.Errorf("got %s", out)
	}
	if _, body := get(t, d, "/status"); len(body) == 0 || !json.Valid([]byte(body)) {
		t.Errorf("got %s", body)
	}
	if out, err := ctl(t, d, false, "status"); err != nil || !strings.Contains(out, "cache:\n  entries: 7\n") {
		t.Errorf("got %q, %v", out, err)
	}
	if out, err := ctl(t, d, false, "stats", "queries"); err != nil || out != "strata_queries_total  42\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := ctl(t, d, false, "stats", "nowhere"); err == nil {
		t.Error("stats of nothing are no error")
	}
	if code, body := get(t, d, "/metrics"); code != 200 || !strings.Contains(body, `strata_task_ready{task="socket"} 1`) ||
		!strings.Contains(body, `strata_build_info{commit="`) || !strings.Contains(body, "go_goroutines") || !strings.Contains(body, "process_open_fds") {
		t.Errorf("metrics: %d %s", code, body)
	}
}
