package e2e

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/strata-dns/strata/e2e/clock"
	"github.com/strata-dns/strata/e2e/controlplane"
)

// The clock of the monitor is set while Services come and go, with another monitor
// beside it and without: what changes is answered at once, nothing else is deleted, and
// its compares go on.
func TestClockOfMonitor(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("a control plane takes half a minute: not with -short")
	}
	needBinaries(t)
	program, err := controlplane.Program("..")
	if err != nil {
		t.Skip(err)
	}
	c := newClock(t)
	l := live(t, program)
	logsOnFailure(t, l.Stack)
	p := l.probe(t)
	other := l.monitoring(t, "other", "town", l.cluster.Kubeconfig(controlplane.Monitor), "  resync: 1s\n")
	must(t, l.Ready(t.Context(), other))
	must(t, l.monitor.Stop())
	config, err := os.ReadFile(l.monitor.Config) // it ends with the monitor's section
	must(t, err)
	writeFile(t, l.monitor.Config, string(config)+"  resync: 1s\n")
	wear(t, l.Stack, l.monitor, c)
	l.namespace(t, "times")
	services := l.cluster.Client.CoreV1().Services("times")
	for round, alone := range []bool{false, true} {
		if alone {
			must(t, other.Stop())
		}
		for i, ahead := range settings {
			c.Set(ahead)
			began := time.Now()
			s := plainService(fmt.Sprintf("s%d-%d", round, i))
			s.Spec.ClusterIP = fmt.Sprintf("10.96.%d.%d", 40+round, i)
			_, err := services.Create(t.Context(), s, metav1.CreateOptions{})
			must(t, err)
			l.answers(t, s.Name+".times.svc.cluster.local", dns.TypeA, s.Spec.ClusterIP)
			if i > 0 {
				gone := fmt.Sprintf("s%d-%d", round, i-1)
				must(t, services.Delete(t.Context(), gone, metav1.DeleteOptions{}))
				l.denies(t, gone+".times.svc.cluster.local")
			}
			t.Logf("%s ahead: answered after %s", ahead, time.Since(began).Round(time.Millisecond))
			compared := gauge(t, l.monitor, "strata_monitor_compare_timestamp_seconds")
			l.until(t, "another compare", func() bool {
				now := gauge(t, l.monitor, "strata_monitor_compare_timestamp_seconds")
				return now != compared && math.Abs(now-float64(c.Now().Unix())) < 600
			})
			if gauge(t, l.monitor, "strata_monitor_withheld") != 0 || gauge(t, l.monitor, "strata_monitor_failures_total") != 0 {
				t.Errorf("%s ahead: something is withheld, or failed; its log:\n%s", ahead, l.monitor.Log())
			}
		}
	}
	l.expired(t, c)
	p.held(t)
	l.equal(t, "town", l.cluster.Kubeconfig(controlplane.Monitor))
}

// expired has the monitor's connection break while its clock shows a time at which the API
// server's certificate is no longer valid: it says so, and leaves all as it is, until the
// clock is right again.
func (l *lived) expired(t *testing.T, c *clock.Clock) {
	t.Helper()
	l.service(t, "times", "stays")
	l.until(t, "what is there before", func() bool {
		reply, err := exchange(l.server, "stays.times.svc.cluster.local", dns.TypeA)
		return err == nil && len(data(reply)) == 1
	})
	c.Set(decade)
	must(t, l.cluster.API.Kill())
	must(t, l.cluster.API.Start())
	must(t, l.cluster.Ready(t.Context()))
	l.until(t, "that it does not trust the certificate, and says so", func() bool {
		ready, _ := l.monitor.IsReady(t.Context())
		return !ready && strings.Contains(readyPage(t, l.monitor), "certificate has expired")
	})
	if !strings.Contains(l.monitor.Log(), "certificate has expired") { // beside the first reason: that nobody listened
		t.Errorf("the log does not tell why:\n%s", l.monitor.Log())
	}
	late := plainService("late")
	late.Spec.ClusterIP = "10.96.42.1"
	_, err := l.cluster.Client.CoreV1().Services("times").Create(t.Context(), late, metav1.CreateOptions{})
	must(t, err)
	compared := gauge(t, l.monitor, "strata_monitor_compare_timestamp_seconds")
	l.until(t, "another compare, if it makes any, or seconds without", func() bool {
		return gauge(t, l.monitor, "strata_monitor_compare_timestamp_seconds") > compared+3 || float64(c.Now().Unix()) > compared+6
	})
	if reply, err := exchange(l.server, "stays.times.svc.cluster.local", dns.TypeA); err != nil || len(data(reply)) != 1 {
		t.Errorf("while the certificate is not trusted: %v, %v", reply, err)
	}
	c.Set(0)
	l.answers(t, "late.times.svc.cluster.local", dns.TypeA, late.Spec.ClusterIP)
}
