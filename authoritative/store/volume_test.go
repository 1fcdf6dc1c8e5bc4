package store

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// BenchmarkVolume puts A records into etcd as fast as it takes them, past what Write
// looks at: the volume that servers are measured with, not a way to write records.
//
// STRATA_BENCH_ETCD is the etcd; without it there is one for the occasion.
// STRATA_BENCH_NAMES is a file with a name a line. STRATA_BENCH_RECORDS are put, by
// default one for each name, else the names over again, each time with another
// address. The first address is the STRATA_BENCH_FIRST-th from 10.0.0.0 on.
// STRATA_BENCH_KEYS are in one transaction.
func BenchmarkVolume(b *testing.B) {
	endpoint := os.Getenv("STRATA_BENCH_ETCD")
	if endpoint == "" {
		endpoint = member(b).Endpoints()[0]
	}
	names := volumeNames(b)
	records := volumeNumber(b, "STRATA_BENCH_RECORDS", len(names))
	first := volumeNumber(b, "STRATA_BENCH_FIRST", 0)
	keys := volumeNumber(b, "STRATA_BENCH_KEYS", 100)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	if err != nil {
		b.Fatal(err)
	}
	defer etcd.Close()
	for b.Loop() {
		group, ctx := errgroup.WithContext(b.Context())
		group.SetLimit(32)
		for at := 0; at < records && ctx.Err() == nil; at += keys {
			group.Go(func() error {
				puts := make([]clientv3.Op, 0, keys)
				for i := at; i < min(at+keys, records); i++ {
					puts = append(puts, volumePut(names[i%len(names)], first+i))
				}
				_, err := etcd.Txn(ctx).Then(puts...).Commit()
				return err
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// volumePut puts the record of one key with the n-th address.
func volumePut(key string, n int) clientv3.Op {
	address := netip.AddrFrom4([4]byte{10 + byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)})
	return clientv3.OpPut(key, fmt.Sprintf(`{"ttl":30,"data":["%s"]}`, address))
}

// volumeNames are the keys of the names.
func volumeNames(b *testing.B) (all []string) {
	k := newKeys(DefaultPrefix)
	put := func(name string) {
		rec := record(b, name, "A", "static", 30, "10.0.0.0")
		all = append(all, k.key(rec.Name, rec.Type, rec.Owner))
	}
	path := os.Getenv("STRATA_BENCH_NAMES")
	if path == "" {
		for i := range 1000 {
			put(fmt.Sprintf("host-%d.example.org", i))
		}
		return all
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		put(lines.Text())
	}
	if err := lines.Err(); err != nil || len(all) == 0 {
		b.Fatal("no names: ", err)
	}
	return all
}

func volumeNumber(b *testing.B, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		b.Fatalf("%s=%s is no number", name, text)
	}
	return n
}
