package store

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// BenchmarkPutWatch is how long after a put was called for a watch shows it: what etcd
// itself takes of the way from a change to its answer. STRATA_BENCH_ETCD is an
// etcd to ask; without it there is one for the occasion.
func BenchmarkPutWatch(b *testing.B) {
	endpoint := os.Getenv("STRATA_BENCH_ETCD")
	endpoints := []string{endpoint}
	if endpoint == "" {
		endpoints = member(b).Endpoints()
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer etcd.Close()
	const key = "/strata-bench/put-watch"
	put := func(value string) int64 {
		done, err := etcd.Put(b.Context(), key, value)
		if err != nil {
			b.Fatal(err)
		}
		return done.Header.Revision
	}
	seen := make(chan time.Time, 1)
	watch := etcd.Watch(b.Context(), key, clientv3.WithRev(put("first")+1))
	go func() {
		for response := range watch {
			for range response.Events {
				seen <- time.Now()
			}
		}
	}()
	var waits []time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		put(fmt.Sprint(i))
		waits = append(waits, (<-seen).Sub(began))
	}
	slices.SortFunc(waits, cmp.Compare)
	at := func(q float64) float64 { return float64(waits[min(len(waits)-1, int(q*float64(len(waits))))]) }
	b.ReportMetric(at(0.5), "p50-ns")
	b.ReportMetric(at(0.99), "p99-ns")
	b.ReportMetric(at(1), "longest-ns")
}
