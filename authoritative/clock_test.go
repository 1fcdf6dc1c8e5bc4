package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
)

// Clocks of Go's timers do not jump; what is left to jump is the time that others, or
// this host before, have written down. It is for people: nothing is decided by it.

// A prober whose clock is off writes a state since then, in the past or to come; servers
// and the prober that takes over make of it what they make of any.
func TestClocksOfProbers(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.83.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	const alive, dead = "127.83.0.1", "127.83.0.2"
	endpoint, _ := etcd(t)
	config := fmt.Sprintf(`zones: [{name: prd.example.com, source: etcd}]
etcd: {endpoints: [%q]}
probe: {interval: 200ms, timeout: 50ms, tries: 2, lease: 2s, expire: 1h, name: here, admin: "", control: ""}
`, endpoint)
	n := serve(t, config).awaitReady()
	port := listener.Addr().(*net.TCPAddr).Port
	n.does("records", "add", "www.prd.example.com", "A", alive, dead, "--probe", fmt.Sprint("tcp:", port))
	both := alive + ", " + dead
	n.answers("www.prd.example.com", dns.TypeA, both)
	c := client(t, endpoint)
	for _, off := range []time.Duration{-time.Hour, time.Hour, -50 * 365 * 24 * time.Hour, 50 * 365 * 24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			away, err := c.Register(t.Context(), "away", 2*time.Second, 0)
			if err != nil {
				t.Fatal(err)
			}
			// What it has found is wrong both ways, and stands until somebody looks.
			since := time.Now().Add(off)
			var edits []store.HealthEdit
			for addr, state := range map[string]store.State{alive: store.Down, dead: store.Up} {
				edits = append(edits, store.HealthEdit{Health: store.Health{Address: netip.MustParseAddr(addr), State: state, Since: since, By: "away"}})
			}
			write := func() []store.Health {
				now, err := c.WriteHealth(t.Context(), away, edits)
				if err != nil {
					t.Fatal(err)
				}
				return now
			}
			if now := write(); len(now) > 0 { // there is something of the round before
				for i := range edits {
					at := slices.IndexFunc(now, func(h store.Health) bool { return h.Address == edits[i].Address })
					if at >= 0 {
						edits[i].Revision = now[at].Revision
					}
				}
				write()
			}
			n.answers("www.prd.example.com", dns.TypeA, dead)
			away.Release(t.Context())

			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan int)
			go func() { ended <- run(ctx, []string{"probe", "--config", n.config}, io.Discard, io.Discard) }()
			n.answers("www.prd.example.com", dns.TypeA, alive)
			stop()
			if status := <-ended; status != 0 {
				t.Errorf("the prober ended with %d", status)
			}
			said := n.does("ctl", "--config", n.config, "health")
			fields := strings.Fields(said) // the address, down, since, when
			if len(fields) < 4 || fields[0] != dead || fields[1] != "down" || strings.Contains(said, alive) {
				t.Fatalf("health: %s", said)
			}
			if at, err := time.Parse(time.RFC3339, fields[3]); err != nil || time.Since(at) > 5*time.Minute || time.Until(at) > time.Minute {
				t.Errorf("it is down since %s: %v", at, err)
			}
		})
	}
}

// A snapshot that a clock ahead of this one has dated is used like any; its age is none
// that is below zero, which would mean that there are no records.
func TestSnapshotFromTheFuture(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		path := filepath.Join(t.TempDir(), "snapshot")
		all := []store.Record{rec(t, "www.one.example", "A", "static", "10.0.0.1")}
		if err := store.WriteSnapshot(path, 7, time.Now().Add(off), seq(all...), nil); err != nil {
			t.Fatal(err)
		}
		n := serve(t, fmt.Sprintf("zones: [{name: one.example, source: etcd}]\netcd: {endpoints: [\"http://%s\"]}\nsnapshot: %s\n", freeAddress(t), path))
		n.answers("www.one.example", dns.TypeA, "10.0.0.1")
		age, err := strconv.ParseFloat(n.metric("strata_etcd_records_age_seconds"), 64)
		if least := max(0, -off.Seconds()); err != nil || age < least || age > least+300 {
			t.Errorf("written at %s from now: age %g, %v", off, age, err)
		}
	}
}
