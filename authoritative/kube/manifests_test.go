package kube

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

func TestReadManifest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"# nothing\n---\n# nor here\n": "",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n":                            "Service default/a",
		"apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a, namespace: ns}}, {metadata: {name: b, namespace: ns}}]\n":                         "Service ns/a, Service ns/b",
		"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: ns}}, {apiVersion: v1, kind: Pod, metadata: {name: p}}]\n": "Namespace ns, Pod default/p",
		`{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "items": [{"metadata": {"name": "a"}}]}`:                                       "EndpointSlice default/a",
		"apiVersion: v1\nkind: PodList\nitems: [null]\n": "1: item 0: null is no object",
		"kind: [": "1: ",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\nx\n": "5: not an object of Kubernetes",
		"\n---\nname: a\n":                "3: no apiVersion and kind",
		"apiVersion: v1\nkind: Service\n": "1: Service: no metadata.name",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: x}]}\n":                       "1: Service: json: cannot unmarshal",
		"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: p}}, {a: b}]\n":        "1: item 1: no apiVersion and kind",
		"apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a, namespace: ns}}, {metadata: {b: c}}]\n": "1: item 1: Service: no metadata.name",
	} {
		all, err := readManifest([]byte(text))
		var got []string
		for _, object := range all {
			kind, _ := kindOf(object)
			got = append(got, kind.String()+" "+keyOf(object))
		}
		line := strings.Join(got, ", ")
		if err != nil {
			line = err.Error()
		}
		if err == nil && line != want || err != nil && (want == "" || !strings.HasPrefix(line, want)) {
			t.Errorf("%q: %s, want %s", text, line, want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(service("spec: {clusterIP: 10.3.0.1}") + slice("IPv4", http, "{addresses: [10.1.0.1]}")))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: p}}]\n---\n"))
	f.Add([]byte("apiVersion: v1\nkind: ServiceList\nitems: [null, 1]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := readManifest(text)
		if err != nil && all != nil {
			t.Errorf("%v, and %d objects", err, len(all))
		}
		s := NewState(testOptions(), slog.New(slog.DiscardHandler))
		s.Synced()
		s.Change(0, all, nil)
		for edits, _ := s.takeDirty(batch, owner); len(edits) > 0; edits, _ = s.takeDirty(batch, owner) {
			for _, e := range edits {
				if n := wire.NameLen(e.Name); n != len(e.Name) || len(e.Data) == 0 {
					t.Errorf("%q: %d values", e.Name, len(e.Data))
				}
				if _, err := e.Text(); err != nil {
					t.Error(err)
				}
			}
		}
		s.Change(0, nil, all)
		if n := s.Counts(); n.RRsets != 1 { // dns-version
			t.Errorf("%d RRsets are left of %s", n.RRsets, text)
		}
	})
}

// A folder from its first look on: what is there, what comes, changes and goes;
// errors by file and line that change nothing.
func TestManifests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("a.yaml", cluster("a", "172.16.0.1"))
	put("broken.yaml", "kind: [")
	put(".hidden.yaml", cluster("hidden", "172.16.0.9"))
	put("notes.txt", "not read")
	b.put(owner, "b.shop.svc.cluster.local", "A", "172.16.0.2") // what broken.yaml says, when it is whole
	s := NewState(testOptions(), b.logger())
	m := NewManifests(s, dir, b.logger())
	b.writer(s, 1, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	says := func(words string) {
		t.Helper()
		until(t, func() bool { return strings.Contains(m.Reason(), words) }, func() string { return "it says " + m.Reason() })
	}
	says(filepath.Join(dir, "broken.yaml") + ":1: ")
	if got := b.records(owner); m.Ready() || !slices.Equal(got, []string{a("b", "172.16.0.2")}) {
		t.Errorf("ready %v, %q", m.Ready(), got)
	}
	put("broken.yaml", cluster("b", "172.16.0.2"))
	b.holds(owner, a("a", "172.16.0.1"), a("b", "172.16.0.2"))

	put("a.yaml", cluster("a", "172.16.0.3")+cluster("c", "172.16.0.4"))
	b.holds(owner, a("a", "172.16.0.3"), a("b", "172.16.0.2"), a("c", "172.16.0.4"))
	put("z.yaml", cluster("a", "172.16.0.5"))
	says(filepath.Join(dir, "z.yaml") + ": Service shop/a stands in " + filepath.Join(dir, "a.yaml") + " already")
	put("z.yaml", "x")
	says("z.yaml:1: not an object")
	b.holds(owner, a("a", "172.16.0.3"), a("b", "172.16.0.2"), a("c", "172.16.0.4"))
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	b.holds(owner, a("a", "172.16.0.5"), a("b", "172.16.0.2")) // z.yaml's, from before its error

	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	says("manifests are not read, objects stay as they were")
	b.holds(owner, a("a", "172.16.0.5"), a("b", "172.16.0.2"))
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	put("z.yaml", "")
	b.holds(owner, a("b", "172.16.0.2"))
}
