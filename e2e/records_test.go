package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/stack"
)

// seen waits, a second at most on a machine that has nothing else to do, until a node's
// answer holds exactly the given data.
func seen(t *testing.T, node *stack.Server, name string, typ uint16, want ...string) {
	t.Helper()
	began, machine := time.Now(), watchStrain()
	within(t, fmt.Sprintf("%s of %s at %s", want, name, node.Name), func() bool {
		reply, err := exchange(node, name, typ)
		return answered(reply, err, want...)
	})
	machine.inTime(t, node.Name+" had "+name, time.Since(began), time.Second)
}

// What is written at one node is answered by both, owners merged; removing takes
// away one's own only.
func TestRecords(t *testing.T) {
	s := newStack(t, stack.AuthoritativesOnly)
	one, two := s.Authoritatives[0], s.Authoritatives[1]
	both := func(name string, typ uint16, want ...string) {
		t.Helper()
		seen(t, one, name, typ, want...)
		seen(t, two, name, typ, want...)
	}
	const name = "app.prd.example.com"
	records(t, s, one, "add", name, "A", "10.1.0.1", "--ttl", "60")
	both(name, dns.TypeA, "10.1.0.1")
	records(t, s, two, "add", name, "A", "10.1.0.2")
	both(name, dns.TypeA, "10.1.0.1", "10.1.0.2")
	records(t, s, two, "add", name, "A", "10.1.0.1", "10.1.0.3", "--owner", "other")
	both(name, dns.TypeA, "10.1.0.1", "10.1.0.2", "10.1.0.3")

	list := records(t, s, two, "list", name)
	for _, line := range []string{"10.1.0.1 ; static", "10.1.0.2 ; static", "10.1.0.1 ; other", "10.1.0.3 ; other"} {
		if !strings.Contains(list, line) {
			t.Errorf("no %q in the list:\n%s", line, list)
		}
	}
	if own := records(t, s, one, "list", name, "--owner", "other"); strings.Contains(own, "static") || strings.Count(own, "\n") != 2 {
		t.Errorf("the other owner's list:\n%s", own)
	}

	records(t, s, one, "remove", name, "A", "10.1.0.1")
	both(name, dns.TypeA, "10.1.0.1", "10.1.0.2", "10.1.0.3") // the other owner has it still
	records(t, s, two, "remove", name, "A", "--owner", "other")
	both(name, dns.TypeA, "10.1.0.2")
	records(t, s, one, "remove", name, "A")
	for _, node := range s.Authoritatives {
		within(t, "no such name at "+node.Name, func() bool {
			reply, err := exchange(node, name, dns.TypeA)
			return err == nil && reply.Rcode == dns.RcodeNameError
		})
	}
}

// What makes no sense is refused in one line, and nothing is written.
func TestRecordsRefused(t *testing.T) {
	s := newStack(t, stack.AuthoritativesOnly)
	node := s.Authoritatives[0]
	before := records(t, s, node, "list")
	for want, args := range map[string][]string{
		"in none of the zones kept in etcd": {"add", "www.example.net", "A", "10.0.0.1"},
		"10.0.0.256":                        {"add", "a.prd.example.com", "A", "10.0.0.256"},
		"NOTYPE":                            {"add", "a.prd.example.com", "NOTYPE", "x"},
		"holds no such record":              {"remove", "a.prd.example.com", "A"},
		"no such file":                      {"import", "/nonexistent/zone", "--zone", "prd.example.com"},
		"requires at least 3 arg":           {"add", "a.prd.example.com", "A"},
		"kept in etcd: cluster.local":       {"import", filepath.Join(s.Dir, "example.org.zone"), "--zone", "example.org"},
	} {
		_, err := s.Records(t.Context(), node, args...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("records %s: %v, want one line with %q", strings.Join(args, " "), err, want)
		}
	}
	if after := records(t, s, node, "list"); after != before {
		t.Errorf("something was written: before\n%safter\n%s", before, after)
	}
}

// Everybody adds to one name, at both nodes and at once: nothing is lost.
func TestRecordsAtOnce(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.AuthoritativesOnly)
	const name = "busy.prd.example.com"
	var want []string
	var wait sync.WaitGroup
	for i := range 16 {
		address := fmt.Sprintf("10.7.0.%d", i+1)
		want = append(want, address)
		wait.Go(func() {
			if _, err := s.RecordsAgain(t.Context(), s.Authoritatives[i%2], "add", name, "A", address); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, node := range s.Authoritatives {
		seen(t, node, name, dns.TypeA, want...)
	}
}

var revisionWord = regexp.MustCompile(`revision (\d+)\n$`)

// The serial is etcd's revision: the same at all nodes, and it grows with each change.
func TestSerial(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.AuthoritativesOnly)
	var last uint64
	for i := range 4 {
		out := records(t, s, s.Authoritatives[i%2], "add", "serial.prd.example.com", "A", fmt.Sprintf("10.8.0.%d", i+1))
		match := revisionWord.FindStringSubmatch(out)
		if match == nil {
			t.Fatalf("no revision in %q", out)
		}
		revision, err := strconv.ParseUint(match[1], 10, 32)
		must(t, err)
		if revision <= last {
			t.Errorf("revision %d after %d", revision, last)
		}
		last = revision
		for _, node := range s.Authoritatives {
			for _, zone := range []string{"prd.example.com", "cluster.local"} {
				within(t, fmt.Sprintf("serial %d of %s at %s", revision, zone, node.Name), func() bool {
					reply, err := exchange(node, zone, dns.TypeSOA)
					return err == nil && len(reply.Answer) == 1 && reply.Answer[0].(*dns.SOA).Serial == uint32(revision)
				})
			}
		}
	}
}

// An import with --replace makes the owner's records those of the file; when too
// many would go, it stops before the first.
func TestImport(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newStack(t, stack.AuthoritativesOnly)
	node, other := s.Authoritatives[1], s.Authoritatives[0]
	file := filepath.Join(t.TempDir(), "zone")
	write := func(hosts ...int) {
		var b strings.Builder
		b.WriteString("$TTL 60\n@ IN SOA ns hostmaster 1 2 3 4 5\n")
		for _, i := range hosts {
			fmt.Fprintf(&b, "h%d IN A 10.9.0.%d\n", i, i)
		}
		must(t, os.WriteFile(file, []byte(b.String()), 0o600))
	}
	exists := func(i int) bool {
		reply, err := exchange(other, fmt.Sprintf("h%d.cluster.local", i), dns.TypeA)
		return answered(reply, err, fmt.Sprintf("10.9.0.%d", i))
	}
	args := []string{"import", file, "--zone", "cluster.local", "--owner", "file"}
	all := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	write(all...)
	records(t, s, node, args...)
	for _, i := range all {
		within(t, fmt.Sprintf("host %d", i), func() bool { return exists(i) })
	}
	write(all[1:]...)
	records(t, s, node, append(slices.Clone(args), "--replace")...)
	within(t, "no host 1", func() bool { return !exists(1) })

	write(all[6:]...)
	if _, err := s.Records(t.Context(), node, append(slices.Clone(args), "--replace")...); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("an import that deletes 5 of 9 names: %v", err)
	}
	for _, i := range all[1:] {
		if !exists(i) {
			t.Errorf("host %d is gone", i)
		}
	}
	records(t, s, node, append(slices.Clone(args), "--replace", "--force")...)
	within(t, "no host 2", func() bool { return !exists(2) })
	if !exists(10) {
		t.Error("host 10 is gone")
	}
	if reply, err := exchange(other, "kubernetes.default.svc.cluster.local", dns.TypeA); !answered(reply, err, "10.96.0.1") {
		t.Errorf("another owner's record: %v, %v", reply, err)
	}

	must(t, os.WriteFile(file, []byte("$TTL 60\nh1 IN A 10.9.0.1\nh2 IN A 10.9.0.999\n"), 0o600))
	if _, err := s.Records(t.Context(), node, args...); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "3") {
		t.Errorf("a file with an error on line 3: %v", err)
	}
}
