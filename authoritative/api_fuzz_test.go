package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/authoritative/store"
)

// FuzzAPI: whatever is asked by one who has a token, without an etcd that answers, is
// refused with a status of ours and does no harm.
func FuzzAPI(f *testing.F) {
	for _, seed := range [][4]string{
		{"PUT", "/records/a.prd.example.com/A", `{"ttl":30,"data":["10.0.0.1"]}`, `"5"`},
		{"POST", "/records", `{"changes":[{"op":"set","name":"a.prd.example.com","type":"A","data":["10.0.0.1"],"if_revision":0}]}`, ""},
		{"GET", "/records?under=example.com&limit=5&after=MSB4", "", ""},
		{"DELETE", "/records/0%2f25.prd.example.com/TYPE65280", "", "*"},
		{"GET", "/history/%5c000.prd.example.com", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	client, err := store.Open(store.Options{Endpoints: []string{"http://127.0.0.1:1"}})
	if err != nil {
		f.Fatal(err)
	}
	if err := client.Close(); err != nil { // so that nothing waits for it
		f.Fatal(err)
	}
	conf := defaults()
	conf.Zones = []Zone{{Name: "prd.example.com", Source: fromEtcd}}
	a := &api{client: client, requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x"}, []string{"token", "code"})}
	path := f.TempDir() + "/token"
	if err := os.WriteFile(path, []byte(teamToken), 0o600); err != nil {
		f.Fatal(err)
	}
	conf.API.Tokens = []Token{{Name: "team", File: path, Owner: "team", Zones: []string{"prd.example.com"}}}
	take, err := a.prepare(&conf)
	if err != nil {
		f.Fatal(err)
	}
	take()
	f.Fuzz(func(t *testing.T, method, path, body, match string) {
		r, err := http.NewRequest(method, "http://x"+apiPath+path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+teamToken)
		r.Header.Set("If-Match", match)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code < 400 || w.Code == http.StatusBadGateway {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzPlace: a place that is taken is one that is given.
func FuzzPlace(f *testing.F) {
	f.Add("MTIgL3N0cmF0YS92MS9yZWNvcmRzL2NvbS9B")
	f.Add("MSB4")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := placeOf(text)
		if err != nil {
			return
		}
		back, err := placeOf(base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", p.Revision, p.Key)))
		if err != nil || back != p || p.Revision <= 0 {
			t.Errorf("%+v, then %+v, %v", p, back, err)
		}
	})
}
