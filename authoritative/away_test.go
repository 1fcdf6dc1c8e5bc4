package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
)

// Etcd goes away: what was known is answered, also by a server that starts then,
// and what changed is taken up when etcd is back.
func TestEtcdAway(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), "http://"+freeAddress(t)
	_, m := etcdAt(t, dir, url)
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	config := fmt.Sprintf("zones: [{name: one.example, source: etcd}, {name: two.example, source: etcd}]\netcd: {endpoints: [%q]}\nsnapshot: %s\n", url, snapshot)
	n := serve(t, config).awaitReady()
	until(t, "the first sync is in the snapshot", func() bool { _, err := os.Stat(snapshot); return err == nil })
	n.does("records", "add", "a.one.example", "A", "10.0.0.1")
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	before, saved := n.serial("one.example"), time.Now()
	if status := n.stop(); status != 0 {
		t.Fatalf("status %d", status)
	}
	snap, err := store.OpenSnapshot(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if snap.Count != 1 || uint32(snap.Revision) != before {
		t.Errorf("the last change is not in the snapshot: %+v", snap.SnapshotInfo)
	}
	snap.Close()
	stopMember(t, m)

	n.start()
	n.awaitReady()
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	n.answers("b.one.example", dns.TypeA, "NXDOMAIN")
	n.answers("a.two.example", dns.TypeA, "NXDOMAIN") // the zone is empty, and the snapshot says so
	if serial := n.serial("one.example"); serial != before {
		t.Errorf("serial %d, was %d", serial, before)
	}
	var state struct {
		Records   string
		Connected bool
	}
	n.status("etcd", &state)
	said := regexp.MustCompile(fmt.Sprintf(`^etcd has not answered yet; the snapshot, revision %d, ([0-9ms]+) old, is answered from$`, before)).FindStringSubmatch(state.Records)
	if said == nil || state.Connected {
		t.Errorf("status: %+v", state)
	} else if age, err := time.ParseDuration(said[1]); err != nil || age > time.Since(saved)+time.Second {
		t.Errorf("%s old, saved %s ago", said[1], time.Since(saved))
	}
	if _, ready := n.get("/readyz?verbose"); !strings.Contains(ready, " old, is answered from") {
		t.Errorf("readyz: %s", ready)
	}
	if age, err := strconv.ParseFloat(n.metric("strata_etcd_records_age_seconds"), 64); err != nil || age <= 0 || age > time.Since(saved).Seconds()+1 {
		t.Errorf("metric: %g, %v", age, err)
	}
	t.Run("records", func(t *testing.T) {
		for _, args := range [][]string{
			{"records", "add", "x.one.example", "A", "10.0.0.9"},
			{"records", "remove", "a.one.example", "A"},
			{"records", "list"},
			{"records", "import", "../configs/zones/example.org.zone", "--zone", "one.example"},
		} {
			t.Run(args[1], func(t *testing.T) {
				t.Parallel()
				n := &node{t: t, config: n.config}
				began := time.Now()
				said := n.fails(args...)
				if took := time.Since(began); took > 20*time.Second || !strings.Contains(said, "etcd has no leader or did not answer within 5s") {
					t.Errorf("after %s: %s", took, said)
				}
			})
		}
	})

	if warnings := strings.Count(n.log.String(), "level=WARN"); warnings > 4 {
		t.Errorf("%d warnings in some seconds without etcd:\n%s", warnings, n.log)
	}
	etcdAt(t, dir, url)
	n.does("records", "add", "a.two.example", "A", "10.0.0.2")
	n.answers("a.two.example", dns.TypeA, "10.0.0.2")
	n.answers("b.two.example", dns.TypeA, "NXDOMAIN")
	until(t, "age 0", func() bool { return n.metric("strata_etcd_records_age_seconds") == "0" })
	if serial := n.serial("one.example"); serial <= before {
		t.Errorf("serial %d, was %d", serial, before)
	}
	// And into the snapshot while running, without a stop.
	until(t, "the snapshot has what changed", func() bool {
		snap, err := store.OpenSnapshot(snapshot)
		if err != nil {
			return false
		}
		defer snap.Close()
		return snap.Count == 2
	})
	until(t, "the metrics tell of the snapshot, too", func() bool { // a moment after the file is there
		return n.metric("strata_snapshot_timestamp_seconds") != "" && n.metric("strata_snapshot_failures_total") == "0"
	})
}

// Etcd comes back without its data: what was known is answered, and it is said why that
// is not what etcd has, until there is a record again.
func TestEtcdEmptied(t *testing.T) {
	t.Parallel()
	url := "http://" + freeAddress(t)
	_, m := etcdAt(t, t.TempDir(), url)
	n := serve(t, fmt.Sprintf("zones: [{name: one.example, source: etcd}]\netcd: {endpoints: [%q]}\n", url)).awaitReady()
	n.does("records", "add", "a.one.example", "A", "10.0.0.1")
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	stopMember(t, m)
	etcdAt(t, t.TempDir(), url)
	until(t, "the loss is told", func() bool {
		_, why := n.get("/readyz?verbose")
		return strings.Contains(why, "[+] records from etcd: ready (etcd has lost its data; revision ")
	})
	if age := n.metric("strata_etcd_records_age_seconds"); age == "0" || age == "" {
		t.Errorf("the records are %q seconds old", age)
	}
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	n.does("records", "add", "b.one.example", "A", "10.0.0.2")
	n.answers("b.one.example", dns.TypeA, "10.0.0.2")
	until(t, "age 0", func() bool { return n.metric("strata_etcd_records_age_seconds") == "0" })
}

// Without etcd and without a snapshot the server isn't ready and says why; a
// snapshot that is damaged is as none.
func TestNothingToAnswerFrom(t *testing.T) {
	t.Parallel()
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	write(t, snapshot, "strata\x00\x1abut damaged")
	n := serve(t, fmt.Sprintf("zones: [{name: one.example, source: etcd}]\netcd: {endpoints: [\"http://%s\"]}\nsnapshot: %s\n", freeAddress(t), snapshot))
	var why string
	until(t, "an answer of the admin page", func() bool {
		status, body := n.get("/readyz")
		why = body
		return status == http.StatusServiceUnavailable
	})
	if !strings.Contains(why, "records from etcd: etcd has not answered yet, and there is no snapshot") {
		t.Errorf("it says %q", why)
	}
	if log := n.log.String(); !strings.Contains(log, "snapshot not used; waiting for etcd instead") || !strings.Contains(log, snapshot) {
		t.Error(log)
	}
	n.answers("a.one.example", dns.TypeA, "SERVFAIL")
	if status := n.stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	if text, err := os.ReadFile(snapshot); err != nil || !strings.HasSuffix(string(text), "but damaged") {
		t.Errorf("nothing was synced, and yet the snapshot is another: %q, %v", text, err)
	}
}

// A member in the server's own process: records are written by way of it, and it
// ends after all that needs it.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	client, peer := "http://"+freeAddress(t), "http://"+freeAddress(t)
	dir := filepath.Join(t.TempDir(), "etcd")
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	config := fmt.Sprintf("zones: [{name: one.example, source: etcd}]\nsnapshot: %s\netcd: {endpoints: [%q], embedded: {dir: %s, peer: %q}}\n", snapshot, client, dir, peer)
	n := serve(t, config).awaitReady()
	n.does("records", "add", "a.one.example", "A", "10.0.0.1")
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	if status := n.stop(); status != 0 {
		t.Errorf("status %d", status)
	}
	log := n.log.String()
	if strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("nothing was wrong, and yet: %s", log)
	}
	n.start()
	n.awaitReady()
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	if status := n.stop(); status != 0 {
		t.Errorf("status %d", status)
	}

	l, err := net.Listen("tcp", strings.TrimPrefix(client, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n.start()
	status := <-n.done
	if n.done <- status; status != 1 || !strings.Contains(n.log.String(), "authoritative: etcd member "+dir+": embed etcd in "+dir+": listen tcp "+l.Addr().String()+": bind: address already in use\n") {
		t.Errorf("with its port taken: status %d: %s", status, n.log)
	}
}

// One of three members alone has no leader; its server answers all the same.
func TestEmbeddedWithoutQuorum(t *testing.T) {
	t.Parallel()
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	rec, err := store.NewRecord("a.one.example", "A", "static", 30, "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	err = store.WriteSnapshot(snapshot, 7, time.Now(), func(yield func(store.Record, error) bool) { yield(rec, nil) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, peer := "http://"+freeAddress(t), "http://"+freeAddress(t)
	n := serve(t, fmt.Sprintf(`
zones: [{name: one.example, source: etcd}]
snapshot: %s
etcd:
  endpoints: [%q]
  embedded:
    dir: %s
    name: a
    peer: %q
    cluster: [{name: a, url: %[4]q}, {name: b, url: "http://%[5]s"}, {name: c, url: "http://%[6]s"}]
`, snapshot, client, t.TempDir(), peer, freeAddress(t), freeAddress(t))).awaitReady()
	n.answers("a.one.example", dns.TypeA, "10.0.0.1")
	if n.serial("one.example") != 7 {
		t.Error("the serial is not the snapshot's revision")
	}
	if status := n.stop(); status != 0 {
		t.Errorf("status %d", status)
	}
}
