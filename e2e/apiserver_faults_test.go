package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/strata-dns/strata/e2e/controlplane"
	"github.com/strata-dns/strata/e2e/stack"
)

// constant are questions whose answers never change: what is asked all along.
func constant() (all []clause) {
	for _, c := range clauses {
		if c.want != "NODATA" && c.want != "NXDOMAIN" {
			all = append(all, c)
		}
	}
	return all
}

// A prober asks for names that are there throughout, and keeps what was not right.
type prober struct {
	stop  context.CancelFunc
	done  chan struct{}
	asked int
	wrong []string
}

func (l *lived) probe(t *testing.T) *prober {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &prober{stop: cancel, done: make(chan struct{})}
	go p.run(ctx, l.server.Address)
	t.Cleanup(func() { cancel(); <-p.done })
	return p
}

func (p *prober) run(ctx context.Context, address string) {
	defer close(p.done)
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	client := dns.Client{Timeout: 5 * time.Second}
	for questions, i := constant(), 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		q := questions[i%len(questions)]
		query := new(dns.Msg).SetQuestion(dns.Fqdn(q.name), q.typ)
		reply, _, err := client.ExchangeContext(ctx, query, address)
		if ctx.Err() != nil {
			return
		}
		p.asked++
		if err != nil {
			p.wrong = append(p.wrong, fmt.Sprintf("%s: %v", q.name, err))
		} else if got := verdict(reply); got != q.want {
			p.wrong = append(p.wrong, fmt.Sprintf("%s: %s", q.name, got))
		}
	}
}

// held asserts that every answer was right.
func (p *prober) held(t *testing.T) {
	t.Helper()
	p.stop()
	<-p.done
	if len(p.wrong) > 0 {
		t.Errorf("%d of %d answers were wrong: %s", len(p.wrong), p.asked, strings.Join(p.wrong[:min(5, len(p.wrong))], "; "))
	}
	if p.asked < 10 {
		t.Errorf("only %d questions were asked", p.asked)
	}
}

// An annotation is wrong: the log names the object. Where the account may create
// events, the object itself says so too.
func events(t *testing.T, l *lived) {
	l.namespace(t, "wrong")
	core := l.cluster.Client.CoreV1()
	put := func(name string) *corev1.Service {
		s := plainService(name)
		s.Annotations = map[string]string{"strata-dns.io/ttl": "soon"}
		s, err := core.Services("wrong").Create(t.Context(), s, metav1.CreateOptions{})
		must(t, err)
		l.until(t, "a line that names the object", func() bool {
			return strings.Contains(l.monitor.Log(), `object="Service wrong/`+name+`"`)
		})
		return s
	}
	put("quiet")
	l.until(t, "that there are no events", func() bool { return strings.Contains(l.monitor.Log(), "the account may not create them") })
	l.bind(t, "strata-monitor-events")
	must(t, l.monitor.Stop())
	must(t, l.monitor.Start())
	must(t, l.Ready(t.Context(), l.monitor))
	s := put("loud")
	for _, s := range []*corev1.Service{s, {ObjectMeta: metav1.ObjectMeta{Name: "quiet"}}} {
		var seen []corev1.Event
		l.until(t, "an event on "+s.Name, func() bool {
			list, err := core.Events("wrong").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=NotInDNS,involvedObject.name=" + s.Name})
			must(t, err)
			seen = list.Items
			return len(seen) == 1
		})
		if e := seen[0]; e.Reason != "NotInDNS" || !strings.Contains(e.Message, `strata-dns.io/ttl: "soon"`) || s.UID != "" && e.InvolvedObject.UID != s.UID {
			t.Errorf("the event says %+v", e)
		}
	}
	must(t, core.Namespaces().Delete(t.Context(), "wrong", metav1.DeleteOptions{}))
	for _, name := range []string{"quiet", "loud"} { // there is no controller of namespaces here
		must(t, core.Services("wrong").Delete(t.Context(), name, metav1.DeleteOptions{}))
		l.denies(t, name+".wrong.svc.cluster.local")
	}
}

// Two clusters feed one etcd: what both have is merged, and neither takes away what
// is the other's, even when all of its own goes.
func twoClusters(t *testing.T, l *lived) {
	p := l.probe(t)
	other, err := controlplane.Start(t.Context(), controlplane.Options{Program: l.cluster.API.Path, Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := t.Context()
	both := func(c *kubernetes.Clientset, address string) {
		t.Helper()
		_, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "both"}}, metav1.CreateOptions{})
		must(t, err)
		s := plainService("db")
		s.Spec.ClusterIP = corev1.ClusterIPNone
		_, err = c.CoreV1().Services("both").Create(ctx, s, metav1.CreateOptions{})
		must(t, err)
		_, err = c.DiscoveryV1().EndpointSlices("both").Create(ctx, endpoints("db-4", "db", address), metav1.CreateOptions{})
		must(t, err)
	}
	both(l.cluster.Client, "10.1.6.1")
	both(other.Client, "10.2.6.1")
	const name = "db.both.svc.cluster.local"
	l.answers(t, name, dns.TypeA, "10.1.6.1")
	village := l.monitoring(t, "village", "village", other.Kubeconfig(controlplane.Admin), "")
	l.answers(t, name, dns.TypeA, "10.1.6.1", "10.2.6.1")
	_, err = other.Client.CoreV1().Services("both").Create(ctx, plainService("theirs"), metav1.CreateOptions{})
	must(t, err)
	l.until(t, "the other's own", func() bool {
		reply, err := exchange(l.server, "theirs.both.svc.cluster.local", dns.TypeA)
		return err == nil && len(data(reply)) == 1
	})
	l.equal(t, "village", other.Kubeconfig(controlplane.Admin))

	must(t, l.cluster.Client.CoreV1().Services("both").Delete(ctx, "db", metav1.DeleteOptions{}))
	l.answers(t, name, dns.TypeA, "10.2.6.1")
	must(t, other.Client.CoreV1().Services("both").Delete(ctx, "db", metav1.DeleteOptions{}))
	must(t, other.Client.CoreV1().Services("both").Delete(ctx, "theirs", metav1.DeleteOptions{}))
	l.denies(t, name)
	must(t, village.Stop())
	p.held(t)
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}

// awayVariable is how long the API server, and etcd's quorum, are away, such as 1m; 20 s
// by default, for the sake of the tests' time.
const awayVariable = "STRATA_E2E_AWAY"

func awayFor(t *testing.T) time.Duration {
	text := os.Getenv(awayVariable)
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

// backWithin is how soon after the API server's /readyz its changes are answered.
const backWithin = 5 * time.Second

// The API server is killed, and objects change meanwhile (through another one, on the
// same etcd). Records stay as they are. When it is back, what changed is answered
// within five seconds.
func apiServerAway(t *testing.T, l *lived) {
	p := l.probe(t)
	l.namespace(t, "away")
	for _, name := range []string{"goes", "stays"} {
		l.service(t, "away", name)
	}
	l.until(t, "what is there before", func() bool {
		reply, err := exchange(l.server, "goes.away.svc.cluster.local", dns.TypeA)
		return err == nil && len(data(reply)) == 1
	})
	second, client := l.absent(t, awayFor(t))
	if ready, why := l.monitor.IsReady(t.Context()); ready || !strings.Contains(why, "not heard of") {
		t.Errorf("while the API server is away, the monitor is ready %v: %s", ready, why)
	}
	must(t, client.CoreV1().Services("away").Delete(t.Context(), "goes", metav1.DeleteOptions{}))
	comes := plainService("comes")
	comes.Spec.ClusterIP = "10.96.5.5"
	_, err := client.CoreV1().Services("away").Create(t.Context(), comes, metav1.CreateOptions{})
	must(t, err)
	must(t, second.Kill())
	if reply := ask(t, l.server, "goes.away.svc.cluster.local", dns.TypeA); len(data(reply)) != 1 {
		t.Errorf("while the API server is away: %s", reply)
	}
	must(t, l.cluster.API.Start())
	must(t, l.cluster.Ready(t.Context()))
	ready := time.Now()
	l.answers(t, "comes.away.svc.cluster.local", dns.TypeA, "10.96.5.5")
	l.denies(t, "goes.away.svc.cluster.local")
	took := time.Since(ready)
	t.Logf("answered %s after the API server was ready", took.Round(time.Millisecond))
	if took > backWithin {
		t.Errorf("changes were answered %s after the API server was ready, not within %s", took, backWithin)
	}
	p.held(t)
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}

// absent kills the API server and starts another one elsewhere, for at least that
// long.
func (l *lived) absent(t *testing.T, least time.Duration) (*stack.Process, *kubernetes.Clientset) {
	t.Helper()
	must(t, l.cluster.API.Kill())
	killed := time.Now()
	second, client, err := l.cluster.Second(t.Context())
	must(t, err)
	l.until(t, "that the monitor knows", func() bool { ready, _ := l.monitor.IsReady(t.Context()); return !ready })
	select {
	case <-time.After(time.Until(killed.Add(least))):
	case <-t.Context().Done():
	}
	return second, client
}

// The cluster's history is compacted while the monitor cannot see it: the versions
// that its watches would go on from are gone (410), and it lists anew.
func watchExpired(t *testing.T, l *lived) {
	p := l.probe(t)
	l.namespace(t, "old")
	for i := range 5 {
		l.service(t, "old", fmt.Sprintf("s%d", i))
	}
	l.until(t, "what is there before", func() bool {
		reply, err := exchange(l.server, "s4.old.svc.cluster.local", dns.TypeA)
		return err == nil && len(data(reply)) == 1
	})
	list, err := l.cluster.Client.CoreV1().Services("old").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	before := list.ResourceVersion
	second, client := l.absent(t, 0)
	must(t, client.CoreV1().Services("old").Delete(t.Context(), "s1", metav1.DeleteOptions{}))
	late := plainService("late")
	late.Spec.ClusterIP = "10.96.5.6"
	_, err = client.CoreV1().Services("old").Create(t.Context(), late, metav1.CreateOptions{})
	must(t, err)
	l.compact(t)
	must(t, second.Kill())
	must(t, l.cluster.API.Start())
	must(t, l.cluster.Ready(t.Context()))

	watch, err := l.cluster.Client.CoreV1().Services("old").Watch(t.Context(), metav1.ListOptions{ResourceVersion: before})
	if err == nil {
		event := <-watch.ResultChan()
		watch.Stop()
		if status, ok := event.Object.(*metav1.Status); !ok || status.Code != http.StatusGone {
			t.Fatalf("the history was not compacted: a watch from before begins with %+v", event)
		}
	} else if !strings.Contains(err.Error(), "too old") {
		must(t, err)
	}
	l.answers(t, "late.old.svc.cluster.local", dns.TypeA, "10.96.5.6")
	l.denies(t, "s1.old.svc.cluster.local")
	p.held(t)
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}

// compact drops all of the cluster's etcd's history, over its JSON gateway.
func (l *lived) compact(t *testing.T) {
	t.Helper()
	call := func(path string, body any) (reply struct{ Header struct{ Revision string } }) {
		t.Helper()
		text, err := json.Marshal(body)
		must(t, err)
		response, err := http.Post(l.cluster.EtcdURL+path, "application/json", bytes.NewReader(text))
		must(t, err)
		defer response.Body.Close()
		must(t, json.NewDecoder(response.Body).Decode(&reply))
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, response.Status)
		}
		return reply
	}
	at := call("/v3/kv/range", map[string]any{"key": base64.StdEncoding.EncodeToString([]byte("none"))})
	call("/v3/kv/compaction", map[string]any{"revision": at.Header.Revision, "physical": true})
}

// Two monitors, and one hears nothing any more. It compares every second, and finds
// what the other one writes wrong, as far as it knows: it writes nothing, since
// another one knows more, until it hears again.
func oneBehind(t *testing.T, l *lived) {
	p := l.probe(t)
	l.namespace(t, "behind")
	relay, err := relayTo(l.cluster.Address)
	must(t, err)
	t.Cleanup(relay.close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, l.cluster.WriteKubeconfig(kubeconfig, controlplane.Monitor, "https://"+relay.address()))
	deaf := l.monitoring(t, "deaf", "town", kubeconfig, "  resync: 1s\n")
	must(t, l.Ready(t.Context(), deaf))
	relay.freeze()

	for i := range 5 {
		s := plainService(fmt.Sprintf("s%d", i))
		s.Spec.ClusterIP = fmt.Sprintf("10.96.6.%d", i)
		_, err := l.cluster.Client.CoreV1().Services("behind").Create(t.Context(), s, metav1.CreateOptions{})
		must(t, err)
	}
	l.answers(t, "s4.behind.svc.cluster.local", dns.TypeA, "10.96.6.4")
	l.compact(t)
	l.until(t, "that it is behind, and knows", func() bool {
		counters, err := deaf.Counters(t.Context())
		must(t, err)
		ready, why := deaf.IsReady(t.Context())
		return counters.Sum("strata_monitor_behind_total") >= 3 && !ready && strings.Contains(why, "knows more")
	})
	for i := range 5 {
		reply := ask(t, l.server, fmt.Sprintf("s%d.behind.svc.cluster.local", i), dns.TypeA)
		if got := data(reply); len(got) != 1 || got[0] != fmt.Sprintf("10.96.6.%d", i) {
			t.Errorf("the one that is behind has changed what is right: %s", reply)
		}
	}
	must(t, l.cluster.Client.CoreV1().Services("behind").Delete(t.Context(), "s0", metav1.DeleteOptions{}))
	l.denies(t, "s0.behind.svc.cluster.local")
	relay.thaw()
	must(t, l.Ready(t.Context(), deaf))
	must(t, l.monitor.Stop()) // now it is alone
	l.service(t, "behind", "last")
	l.until(t, "what only the one that was behind can have written", func() bool {
		reply, err := exchange(l.server, "last.behind.svc.cluster.local", dns.TypeA)
		return err == nil && len(data(reply)) == 1
	})
	must(t, l.monitor.Start())
	must(t, l.Ready(t.Context(), l.monitor))
	must(t, deaf.Stop())
	p.held(t)
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}

// The monitor is killed amid a full sync, several times, and goes on where it was.
func killedAmidSync(t *testing.T, l *lived) {
	p := l.probe(t)
	l.namespace(t, "large")
	must(t, l.monitor.Kill())
	s := plainService("db")
	s.Spec.ClusterIP = corev1.ClusterIPNone
	_, err := l.cluster.Client.CoreV1().Services("large").Create(t.Context(), s, metav1.CreateOptions{})
	must(t, err)
	const parts, each = 12, 1000 // three RRsets for each endpoint, as good as
	for i := range parts {
		_, err := l.cluster.Client.DiscoveryV1().EndpointSlices("large").Create(t.Context(), sized(fmt.Sprintf("db-%d", i), "db", 100+i, each), metav1.CreateOptions{})
		must(t, err)
	}
	written := func() int {
		return strings.Count(records(t, l.Stack, l.server, "list", "db.large.svc.cluster.local"), "\n")
	}
	var counts []int
	for range 3 {
		must(t, l.monitor.Start())
		l.until(t, "that it writes", func() bool {
			counters, err := l.monitor.Counters(t.Context())
			return err == nil && counters.Sum("strata_monitor_writes_total") > 500
		})
		must(t, l.monitor.Kill())
		counts = append(counts, written())
	}
	must(t, l.monitor.Start())
	must(t, l.Ready(t.Context(), l.monitor))
	whole := written()
	if !slices.ContainsFunc(counts, func(n int) bool { return 0 < n && n < whole }) {
		t.Errorf("it was never killed amid the sync: %v of %d written", counts, whole)
	}
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
	// It all goes at once, said by two events.
	must(t, l.cluster.Client.CoreV1().Services("large").Delete(t.Context(), "db", metav1.DeleteOptions{}))
	l.denies(t, "db.large.svc.cluster.local")
	p.held(t)
	l.until(t, "that all is written", func() bool { return l.pending(t, l.monitor) == 0 })
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}

// The monitor stands still for longer than its timers, as a machine that is suspended
// does, and objects change meanwhile: no wrong deletion, and all is right after.
func stoppedClock(t *testing.T, l *lived) {
	p := l.probe(t)
	l.namespace(t, "still")
	l.service(t, "still", "before")
	l.until(t, "what is there before", func() bool {
		reply, err := exchange(l.server, "before.still.svc.cluster.local", dns.TypeA)
		return err == nil && len(data(reply)) == 1
	})
	must(t, l.monitor.Signal(syscall.SIGSTOP))
	stopped := time.Now()
	must(t, l.cluster.Client.CoreV1().Services("still").Delete(t.Context(), "before", metav1.DeleteOptions{}))
	after := plainService("after")
	after.Spec.ClusterIP = "10.96.7.7"
	_, err := l.cluster.Client.CoreV1().Services("still").Create(t.Context(), after, metav1.CreateOptions{})
	must(t, err)
	select { // longer than each wait of the monitor's but those for lost connections
	case <-time.After(time.Until(stopped.Add(6 * time.Second))):
	case <-t.Context().Done():
	}
	must(t, l.monitor.Signal(syscall.SIGCONT))
	l.answers(t, "after.still.svc.cluster.local", dns.TypeA, "10.96.7.7")
	l.denies(t, "before.still.svc.cluster.local")
	p.held(t)
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}

// Most of a cluster's Services are missing from a list, after the history between was
// compacted: the brake keeps their records, and those of other owners do not count. An
// event is believed all the same. Who starts the monitor without a brake is obeyed.
func massDeletion(t *testing.T, l *lived) {
	p := l.probe(t)
	const many = 80
	l.namespace(t, "mass")
	for i := range many {
		l.service(t, "mass", fmt.Sprintf("s%d", i))
	}
	named := func(i int) string { return fmt.Sprintf("s%d.mass.svc.cluster.local", i) }
	there := func(i int) bool {
		reply, err := exchange(l.server, named(i), dns.TypeA)
		return err == nil && len(data(reply)) == 1
	}
	for i := range many {
		l.until(t, named(i), func() bool { return there(i) })
	}
	zone := filepath.Join(t.TempDir(), "others.zone") // ten times as many, of another cluster
	var b strings.Builder
	for i := range 10 * many {
		fmt.Fprintf(&b, "o%d.mass.svc.cluster.local. 5 IN A 10.9.%d.%d\n", i, i/250, i%250)
	}
	writeFile(t, zone, b.String())
	records(t, l.Stack, l.server, "import", zone, "--zone", "cluster.local", "--owner", "kubernetes:village")

	second, client := l.absent(t, 0)
	for i := range many - 1 {
		must(t, client.CoreV1().Services("mass").Delete(t.Context(), fmt.Sprintf("s%d", i), metav1.DeleteOptions{}))
	}
	l.compact(t)
	must(t, second.Kill())
	must(t, l.cluster.API.Start())
	must(t, l.cluster.Ready(t.Context()))
	l.until(t, "the brake", func() bool {
		counters, err := l.monitor.Counters(t.Context())
		return err == nil && counters.Sum("strata_monitor_withheld") > 0
	})
	must(t, l.cluster.Client.CoreV1().Services("mass").Delete(t.Context(), fmt.Sprintf("s%d", many-1), metav1.DeleteOptions{}))
	l.denies(t, named(many-1))
	for i := range many - 1 {
		if !there(i) {
			t.Fatalf("the brake did not keep %s", named(i))
		}
	}
	must(t, l.monitor.Stop())
	l.monitor.Args = append(l.monitor.Args, "--brake.max_delete", "1")
	must(t, l.monitor.Start())
	for i := range many {
		l.denies(t, named(i))
	}
	if reply := ask(t, l.server, "o7.mass.svc.cluster.local", dns.TypeA); len(data(reply)) != 1 {
		t.Errorf("another owner's record is gone: %s", reply)
	}
	p.held(t)
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}
