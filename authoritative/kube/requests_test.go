package kube

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	web "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What an API server is asked, and how often when it does not answer: for protobuf, by
// lists and watches only, and sixteen times within some five seconds, in which
// client-go by itself would ask four.
func TestRequests(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	server := httptest.NewServer(web.HandlerFunc(func(w web.ResponseWriter, r *web.Request) {
		mu.Lock()
		defer mu.Unlock()
		if accept := r.Header.Get("Accept"); r.Method != web.MethodGet || !strings.HasPrefix(accept, "application/vnd.kubernetes.protobuf") {
			t.Errorf("%s %s, Accept %q", r.Method, r.URL, accept)
		}
		asked[r.URL.Path]++
		web.Error(w, "not yet", web.StatusInternalServerError)
	}))
	defer server.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n", server.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	api, err := Connect(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c := NewCluster(NewState(testOptions(), log), api, true, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	const tries = 16
	until(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, path := range []string{"/api/v1/services", "/api/v1/namespaces", "/api/v1/pods", "/apis/discovery.k8s.io/v1/endpointslices"} {
			if asked[path] < tries {
				return false
			}
		}
		return true
	}, c.Reason)
	cancel()
	<-done
	if c.Ready() {
		t.Error("it is ready")
	}
}
