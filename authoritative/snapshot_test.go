package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

// Started from a snapshot, without etcd, a server denies names of the zones that it knows
// all of, and of no others: those that the config has had since may have any.
func TestSnapshotKnowsItsZones(t *testing.T) {
	t.Parallel()
	names := func(zones ...string) func() [][]byte {
		return func() (all [][]byte) {
			for _, z := range zones {
				all = append(all, wire.MustName(z))
			}
			return all
		}
	}
	for _, c := range []struct {
		what  string
		zones func() [][]byte // that the snapshot says it knows
		want  map[string]string
	}{
		{"zones that it knows", names("one.example", "empty.example"), map[string]string{
			"www.one.example": "10.0.0.1", "no.one.example": "NXDOMAIN",
			"no.empty.example": "NXDOMAIN", "empty.example": "", // the apex is there
			"no.new.example":      "SERVFAIL",
			"a.part.one.example":  "10.0.0.2", // was in one.example, and is a zone now
			"no.part.one.example": "NXDOMAIN",
			"no.file.one.example": "SERVFAIL", // nothing of it was: it may have been read from a file
		}},
		{"a zone below that is another's now", names("part.one.example"), map[string]string{
			"a.part.one.example": "10.0.0.2", "www.one.example": "SERVFAIL", "no.one.example": "SERVFAIL", "no.empty.example": "SERVFAIL",
		}},
		{"as older ones are", nil, map[string]string{
			"www.one.example": "10.0.0.1", "no.one.example": "NXDOMAIN", "no.empty.example": "SERVFAIL", "no.file.one.example": "SERVFAIL",
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "snapshot")
			all := []store.Record{rec(t, "www.one.example", "A", "static", "10.0.0.1"), rec(t, "a.part.one.example", "A", "static", "10.0.0.2")}
			if err := store.WriteSnapshot(path, 7, time.Now(), seq(all...), c.zones); err != nil {
				t.Fatal(err)
			}
			n := serve(t, fmt.Sprintf(`zones:
  - {name: one.example, source: etcd}
  - {name: part.one.example, source: etcd}
  - {name: file.one.example, source: etcd}
  - {name: empty.example, source: etcd}
  - {name: new.example, source: etcd}
etcd: {endpoints: ["http://%s"]}
snapshot: %s
`, freeAddress(t), path))
			for name, want := range c.want {
				n.answers(name, dns.TypeA, want)
			}
		})
	}
}

// A zone that has no record, and one that goes while the server runs, are written as they
// are: the last snapshot names those that were whole.
func TestSnapshotNamesZones(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	config := func(zones string) string {
		return fmt.Sprintf("zones: [%s]\netcd: {endpoints: [%q]}\nsnapshot: %s\n", zones, endpoint, snapshot)
	}
	n := serve(t, config("{name: one.example, source: etcd}, {name: gone.example, source: etcd}")).awaitReady()
	n.does("records", "add", "www.one.example", "A", "10.0.0.1")
	n.answers("www.one.example", dns.TypeA, "10.0.0.1")
	n.rewrite(config("{name: one.example, source: etcd}, {name: two.example, source: etcd}"))
	n.does("ctl", "--config", n.config, "reload")
	n.answers("no.two.example", dns.TypeA, "NXDOMAIN")
	if status := n.stop(); status != 0 {
		t.Fatalf("status %d", status)
	}
	s, err := store.OpenSnapshot(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := fmt.Sprintf("%q", s.Zones); got != fmt.Sprintf("%q", [][]byte{wire.MustName("one.example"), wire.MustName("two.example")}) {
		t.Errorf("the snapshot names %s", got)
	}
}
