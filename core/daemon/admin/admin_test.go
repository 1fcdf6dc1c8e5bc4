package admin

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a daemon of which nothing but its answers exists.
type source struct {
	overview Overview
	registry *prometheus.Registry
}

func (s *source) Overview() Overview             { return s.overview }
func (s *source) Status() json.RawMessage        { return json.RawMessage(`{"name":"test"}`) }
func (s *source) Registry() *prometheus.Registry { return s.registry }

func newSource() *source {
	registry := prometheus.NewRegistry()
	queries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "strata_queries_total", Help: "Questions <answered>."}, []string{"outcome"})
	queries.WithLabelValues("hit").Add(1234567)
	took := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "strata_took_seconds", Help: "Time."})
	took.Observe(0.25)
	took.Observe(0.75)
	odd := prometheus.NewGauge(prometheus.GaugeOpts{Name: "strata_odd", Help: "No number."})
	odd.Set(math.NaN())
	foreign := prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_x", Help: "Not ours."})
	registry.MustRegister(queries, took, odd, foreign)
	return &source{
		overview: Overview{
			Name: "nodecache", Version: "1.2.3", Started: time.Now().Add(-time.Hour), Ready: true, Alive: true,
			Tasks: []Task{{Name: "socket 127.0.0.1:53", Ready: true}, {Name: "store", Ready: true}},
		},
		registry: registry,
	}
}

// serve runs the pages of a source on loopback and returns their URL.
func serve(t *testing.T, s *source) string {
	t.Helper()
	server := New(s)
	if err := server.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return "http://" + server.Addr().String()
}

func get(t *testing.T, url string) (code int, body string, header http.Header) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(raw), response.Header
}

func TestHealth(t *testing.T) {
	ready := newSource().overview
	waiting, draining, stuck, starting := ready, ready, ready, ready
	waiting.Ready = false
	waiting.Tasks = []Task{{Name: "socket", Ready: true}, {Name: "store", Reason: "etcd: no answer since 12s"}, {Name: "bgp"}}
	draining.Ready, draining.Draining = false, true
	stuck.Alive = false
	starting.Ready = false
	tests := map[string]struct {
		overview Overview
		path     string
		code     int
		body     string
	}{
		"live":             {ready, "/livez", 200, "alive\n"},
		"live, not ready":  {waiting, "/livez", 200, "alive\n"},
		"stuck":            {stuck, "/livez", 503, "a task is stuck\n"},
		"ready":            {ready, "/readyz", 200, "ready\n"},
		"ready, verbose":   {ready, "/readyz?verbose", 200, "[+] socket 127.0.0.1:53: ready\n[+] store: ready\nready\n"},
		"waiting":          {waiting, "/readyz", 503, "not ready: store: etcd: no answer since 12s; bgp: not ready\n"},
		"waiting, verbose": {waiting, "/readyz?verbose", 503, "[+] socket: ready\n[-] store: etcd: no answer since 12s\n[-] bgp: not ready\nnot ready: store: etcd: no answer since 12s; bgp: not ready\n"},
		"draining":         {draining, "/readyz", 503, "not ready: draining\n"},
		"starting":         {starting, "/readyz", 503, "not ready: starting\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			url := serve(t, &source{overview: test.overview, registry: prometheus.NewRegistry()})
			if code, body, _ := get(t, url+test.path); code != test.code || body != test.body {
				t.Errorf("got %d %q, want %d %q", code, body, test.code, test.body)
			}
		})
	}
}

func TestPages(t *testing.T) {
	s := newSource()
	s.overview.Trouble = `f.yaml:3: cache.sise: unknown key, did you mean "size"? <b>`
	url := serve(t, s)
	tests := []struct {
		path, kind string
		holds      []string
	}{
		{"/", "text/html; charset=utf-8", []string{
			"<title>nodecache: ready</title>", "version 1.2.3, up 1h0m", "socket 127.0.0.1:53",
			"strata_queries_total{outcome=&#34;hit&#34;}", "1234567", "Questions &lt;answered&gt;.", "0.5 (mean of 2)",
			"cache.sise: unknown key", "&lt;b&gt;", `<a href="/status">`,
		}},
		{"/status", "application/json", []string{`{"name":"test"}`}},
		{"/metrics", "text/plain", []string{`strata_queries_total{outcome="hit"} 1.234567e+06`, "go_x 0"}},
		{"/debug/pprof/", "text/html", []string{"goroutine"}},
		{"/debug/pprof/cmdline", "text/plain", nil},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			code, body, header := get(t, url+test.path)
			if code != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), test.kind) {
				t.Errorf("%d, %s", code, header.Get("Content-Type"))
			}
			for _, want := range test.holds {
				if !strings.Contains(body, want) {
					t.Errorf("no %q in\n%s", want, body)
				}
			}
			if strings.Contains(body, "://") && test.path == "/" {
				t.Error("the page names a resource elsewhere")
			}
		})
	}
	if code, _, _ := get(t, url+"/nowhere"); code != http.StatusNotFound {
		t.Errorf("an unknown page answers %d", code)
	}
	response, err := http.Post(url+"/status", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", response.StatusCode)
	}
}

func TestFigures(t *testing.T) {
	figures, err := Figures(newSource().registry)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range figures {
		lines = append(lines, f.Name+f.Labels+" "+f.Text())
	}
	want := `strata_odd 0|strata_queries_total{outcome="hit"} 1234567|strata_took_seconds 0.5 (mean of 2)`
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := json.Marshal(figures); err != nil {
		t.Error(err)
	}
}

func TestPortInUse(t *testing.T) {
	first := New(newSource())
	if err := first.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	err := New(newSource()).Listen(t.Context(), first.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "admin: ") || !strings.Contains(err.Error(), first.Addr().String()+": bind: address already in use") {
		t.Errorf("got %v", err)
	}
}
