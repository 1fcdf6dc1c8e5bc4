package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/strata-dns/strata/e2e/stack"
)

// An etcdCluster is three etcd members, each in a process that does nothing else, and
// two servers: one that reaches them as they are, one over relays that can be cut.
type etcdCluster struct {
	*stack.Stack
	t       *testing.T
	urls    []string // of the members
	members []*stack.Server
	servers []*stack.Server // direct, and over the relays
	relays  []*cuttable
	watched *onlookers
}

const clusterToken = "0123456789abcdef0123456789abcdef"

func newEtcdCluster(t *testing.T) *etcdCluster {
	t.Helper()
	c := &etcdCluster{Stack: newStack(t, stack.Nothing), t: t}
	var peers, around, cluster []string
	for i := range 3 {
		c.urls, peers = append(c.urls, "http://"+freeLoopback(t)), append(peers, "http://"+freeLoopback(t))
		cluster = append(cluster, fmt.Sprintf("{name: m%d, url: %q}", i, peers[i]))
		r := newCuttable(t, strings.TrimPrefix(c.urls[i], "http://"))
		c.relays, around = append(c.relays, r), append(around, r.url())
	}
	for i := range 3 {
		c.members = append(c.members, extra(t, c.Stack, fmt.Sprint("member-", i), "authoritative", fmt.Sprintf(`
listen: ["127.0.0.1:{{.Port}}"]
zones: [{name: example.org, source: file, file: "{{.Dir}}/example.org.zone"}]
etcd: {embedded: {dir: "{{.Dir}}/{{.ID}}", client: %q, peer: %q, name: m%d, cluster: [%s]}}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`, c.urls[i], peers[i], i, strings.Join(cluster, ", "))))
	}
	writeFile(t, filepath.Join(c.Dir, "token"), clusterToken)
	for i, urls := range [][]string{c.urls, around} {
		c.servers = append(c.servers, extra(t, c.Stack, fmt.Sprint("server-", i), "authoritative", fmt.Sprintf(`
listen: ["127.0.0.1:{{.Port}}"]
zones: [{name: prd.example.com, source: etcd, negative_ttl: 1s}]
etcd: {endpoints: ["%s"]}
snapshot: "{{.Dir}}/{{.ID}}.snapshot"
api: {tokens: [{name: test, file: "{{.Dir}}/token", owner: team, zones: [prd.example.com]}]}
admin: "127.0.0.1:{{.AdminPort}}"
control: "{{.Dir}}/{{.ID}}.sock"
`, strings.Join(urls, `", "`))))
	}
	for _, server := range c.servers {
		must(t, c.Ready(t.Context(), server))
	}
	return c
}

// request asks a server's API for records.
func (c *etcdCluster) request(server *stack.Server, method, path, body string) (status int, text string, header http.Header) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+server.Admin+"/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error(), nil
	}
	r.Header.Set("Authorization", "Bearer "+clusterToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return resp.StatusCode, string(raw), resp.Header
}

// adds adds a value at a server, again while it is told that etcd is not there.
func (c *etcdCluster) adds(server *stack.Server, name, address string) {
	c.t.Helper()
	must(c.t, c.add(server, name, address))
}

func (c *etcdCluster) add(server *stack.Server, name, address string) (err error) {
	body := fmt.Sprintf(`{"changes":[{"op":"add","name":%q,"type":"A","data":[%q]}]}`, name, address)
	ended := eventually(c.t, 2*time.Minute, func() bool {
		status, text, _ := c.request(server, "POST", "records", body)
		if err = nil; status != 200 {
			err = fmt.Errorf("add %s at %s: %d %s", name, server.Name, status, text)
		}
		return status != 503 && status != 409
	})
	if !ended {
		return fmt.Errorf("not in two minutes: %w", err)
	}
	return err
}

// eventually is within for what may take longer than ten seconds.
func eventually(t *testing.T, limit time.Duration, holds func() bool) bool {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return stack.Until(ctx, holds) == nil
}

// answers waits until both servers answer exactly this.
func (c *etcdCluster) answers(name string, want ...string) {
	c.t.Helper()
	for _, server := range c.servers {
		if !eventually(c.t, time.Minute, func() bool {
			reply, err := exchange(server, name, dns.TypeA)
			return answered(reply, err, want...)
		}) {
			reply, err := exchange(server, name, dns.TypeA)
			c.t.Fatalf("%s of %s at %s: %v, %v", want, name, server.Name, reply, err)
		}
	}
}

// leader is which member leads.
func (c *etcdCluster) leader() int {
	c.t.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: c.urls, DialTimeout: 5 * time.Second})
	must(c.t, err)
	defer etcd.Close()
	leads := -1 // an election may be under way
	within(c.t, "a member leads", func() bool {
		leads = slices.IndexFunc(c.urls, func(url string) bool {
			ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
			defer cancel()
			status, err := etcd.Status(ctx, url)
			return err == nil && status.Header.MemberId == status.Leader
		})
		return leads >= 0
	})
	return leads
}

// compact has etcd forget all that was before now.
func (c *etcdCluster) compact() {
	c.t.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: c.urls, DialTimeout: 5 * time.Second})
	must(c.t, err)
	defer etcd.Close()
	within(c.t, "etcd compacts", func() bool { // again where its leader changes meanwhile
		ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
		defer cancel()
		now, err := etcd.Get(ctx, "/strata", clientv3.WithCountOnly(), clientv3.WithPrefix())
		if err == nil {
			_, err = etcd.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
		}
		return err == nil || errors.Is(err, rpctypes.ErrCompacted)
	})
}

// same is the full compare: what each server holds of owners is what etcd holds.
func (c *etcdCluster) same(when string) {
	c.t.Helper()
	want := lines(records(c.t, c.Stack, c.servers[0], "list"))
	for _, server := range c.servers {
		var got []string
		if !eventually(c.t, time.Minute, func() bool {
			out, err := c.Run(c.t.Context(), "authoritative", "ctl", "--control", server.Control, "dump", "prd.example.com")
			must(c.t, err)
			got = slices.DeleteFunc(lines(out), func(line string) bool { return strings.HasSuffix(line, "; this server's own") })
			return slices.Equal(got, want)
		}) {
			c.t.Errorf("%s, %s holds\n%s\nand etcd\n%s", when, server.Name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	c.watched.check(c.t, when)
}

func lines(text string) []string {
	return slices.Sorted(strings.SplitSeq(strings.TrimSpace(text), "\n"))
}

// onlookers ask all servers all the time for a name that is always there.
type onlookers struct {
	mu    sync.Mutex
	asked int
	lost  int // a busy machine may lose a datagram; what comes must be right
	wrong []string
}

// watch asks until the test ends.
func (c *etcdCluster) watch(name, address string) {
	c.watched = &onlookers{}
	ctx, cancel := context.WithCancel(c.t.Context())
	var wait sync.WaitGroup
	for _, server := range c.servers {
		wait.Go(func() {
			for ctx.Err() == nil {
				reply, err := exchange(server, name, dns.TypeA)
				c.watched.mu.Lock()
				c.watched.asked++
				switch {
				case err != nil:
					c.watched.lost++
				case !answered(reply, err, address):
					c.watched.wrong = append(c.watched.wrong, fmt.Sprintf("%s: %v, %v", server.Name, reply, err))
				}
				c.watched.mu.Unlock()
				time.Sleep(2 * time.Millisecond) // 500 questions a second are enough, and leave CPU for the rest
			}
		})
	}
	c.t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
}

func (o *onlookers) check(t *testing.T, when string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.wrong) > 0 {
		t.Errorf("%s: %d of %d answers were wrong, the first: %s", when, len(o.wrong), o.asked, o.wrong[0])
	}
	if o.asked == 0 || o.lost > 1+o.asked/100 {
		t.Errorf("%s: %d asked, %d without an answer", when, o.asked, o.lost)
	}
	t.Logf("%s: %d asked, %d without an answer, %d answers wrong", when, o.asked, o.lost, len(o.wrong))
	o.asked, o.lost, o.wrong = 0, 0, nil
}

// A cuttable is a network between a server and a member.
type cuttable struct {
	net.Listener
	to    string
	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newCuttable(t *testing.T, to string) *cuttable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &cuttable{Listener: l, to: to, conns: map[net.Conn]bool{}}
	go r.accept()
	t.Cleanup(func() {
		l.Close()
		r.set(true)
	})
	return r
}

func (r *cuttable) url() string { return "http://" + r.Addr().String() }

func (r *cuttable) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut = cut; cut {
		for conn := range r.conns {
			conn.Close()
		}
		clear(r.conns)
	}
}

func (r *cuttable) accept() {
	for {
		in, err := r.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.to)
		if err != nil {
			in.Close()
			continue
		}
		r.mu.Lock()
		if r.cut {
			in.Close()
			out.Close()
		} else {
			r.conns[in], r.conns[out] = true, true
		}
		r.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1]) // it ends with either side
				in.Close()
				out.Close()
			}()
		}
	}
}

// connected waits until a server says so, or that it is not.
func (c *etcdCluster) connected(server *stack.Server, want bool) {
	c.t.Helper()
	if !eventually(c.t, time.Minute, func() bool {
		counters, err := server.Counters(c.t.Context())
		return err == nil && (counters.Sum("strata_etcd_connected") == 1) == want
	}) {
		c.t.Fatalf("%s: connected to etcd is not %t", server.Name, want)
	}
}

// The leader dies, the quorum is lost and comes back, a server is cut off while etcd
// forgets what it missed: answers are right all along, writes fail in so many words or
// are made, and in the end all hold the same.
func TestEtcdFaults(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newEtcdCluster(t)
	c.adds(c.servers[0], "kept.prd.example.com", "10.5.0.1")
	c.answers("kept.prd.example.com", "10.5.0.1")
	c.watch("kept.prd.example.com", "10.5.0.1")

	first := c.leader()
	must(t, c.members[first].Kill())
	began := time.Now()
	for i, server := range c.servers {
		c.adds(server, fmt.Sprint("one", i, ".prd.example.com"), "10.5.1.1")
		c.answers(fmt.Sprint("one", i, ".prd.example.com"), "10.5.1.1")
	}
	t.Logf("the leader killed: written and answered after %s", time.Since(began).Round(time.Millisecond))
	c.same("after the leader's death")

	second := (first + 1) % 3
	must(t, c.members[second].Kill())
	c.connected(c.servers[0], false)
	for _, server := range c.servers {
		status, text, header := c.request(server, "PUT", "records/none.prd.example.com/A", `{"data":["10.5.9.9"]}`)
		if after, err := strconv.Atoi(header.Get("Retry-After")); status != 503 || err != nil || after < 1 || !strings.Contains(text, "etcd has no leader or did not answer") {
			t.Errorf("without a quorum: %d %s, %v", status, text, header)
		}
	}
	if _, err := c.Records(t.Context(), c.servers[0], "add", "none.prd.example.com", "A", "10.5.9.9"); err == nil || !strings.Contains(err.Error(), "etcd has no leader or did not answer") || strings.Contains(err.Error(), "\n") {
		t.Errorf("without a quorum: records add says %v", err)
	}
	c.answers("one0.prd.example.com", "10.5.1.1")
	if os.Getenv(awayVariable) != "" { // as long as it says; else as long as the above took
		for end := time.Now().Add(awayFor(t)); time.Now().Before(end); time.Sleep(time.Second) {
			if status, text, _ := c.request(c.servers[0], "PUT", "records/none.prd.example.com/A", `{"data":["10.5.9.9"]}`); status != 503 {
				t.Errorf("without a quorum: %d %s", status, text)
			}
		}
	}
	c.watched.check(t, "without a quorum")
	for _, server := range c.servers {
		if ready, why := server.IsReady(t.Context()); !ready {
			t.Errorf("without a quorum %s is not ready: %s", server.Name, why)
		}
	}
	must(t, c.members[first].Start())
	must(t, c.members[second].Start())
	began = time.Now()
	c.adds(c.servers[1], "two.prd.example.com", "10.5.2.1")
	c.answers("two.prd.example.com", "10.5.2.1")
	t.Logf("a quorum again: written and answered after %s", time.Since(began).Round(time.Millisecond))
	c.same("with a quorum again")

	for _, r := range c.relays {
		r.set(true)
	}
	c.connected(c.servers[1], false)
	c.adds(c.servers[0], "three.prd.example.com", "10.5.3.1")
	records(t, c.Stack, c.servers[0], "remove", "two.prd.example.com", "A", "--owner", "team")
	c.compact()
	if reply, err := exchange(c.servers[1], "two.prd.example.com", dns.TypeA); !answered(reply, err, "10.5.2.1") {
		t.Errorf("cut off: %v, %v", reply, err)
	}
	for _, r := range c.relays {
		r.set(false)
	}
	c.answers("three.prd.example.com", "10.5.3.1")
	c.same("after a compaction that one server missed")
	if !strings.Contains(c.servers[1].Log(), "etcd has compacted what was missed") {
		t.Error("the server that was cut off did not meet the compaction")
	}
}

// Everybody adds to one name over HTTP at both servers, while the leader dies: what was
// said to be written is there, and nothing twice lost.
func TestRecordsHTTPAtOnce(t *testing.T) {
	t.Parallel() // it mostly waits
	c := newEtcdCluster(t)
	c.adds(c.servers[0], "kept.prd.example.com", "10.5.0.1")
	c.answers("kept.prd.example.com", "10.5.0.1")
	c.watch("kept.prd.example.com", "10.5.0.1")
	var want []string
	var wait sync.WaitGroup
	for i := range 60 {
		address := fmt.Sprintf("10.6.0.%d", i)
		want = append(want, address)
		wait.Go(func() {
			if err := c.add(c.servers[i%2], "busy.prd.example.com", address); err != nil {
				t.Error(err)
			}
		})
		if i == 30 {
			must(t, c.members[c.leader()].Kill())
		}
	}
	wait.Wait()
	slices.Sort(want)
	c.answers("busy.prd.example.com", want...)
	c.same("after all")
	status, text, _ := c.request(c.servers[1], "GET", "history/busy.prd.example.com", "")
	if n := strings.Count(text, `"change":"put"`); status != 200 || n < 60 {
		t.Errorf("history: %d, %d changes", status, n)
	}
}
