package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/strata-dns/strata/"

// law says which packages of ours a room may use, itself and its sub-rooms
// always among them. A trailing /... means a room with its sub-rooms.
var law = map[string][]string{
	"core/wire/...":            {},
	"core/plane/...":           {},
	"core/daemon/...":          {},
	"core/garbage/...":         {},
	"failover/...":             {},
	"core/cache/...":           {"core/wire"},
	"core/zone/...":            {"core/wire"},
	"core/upstream/...":        {"core/wire"},
	"policy/...":               {"core/wire"},
	"core/observe/...":         {"core/wire", "core/plane", "core/daemon/..."},
	"core/resolver/...":        {"core/...", "policy"},
	"core/listen/...":          {"core/..."},
	"nodecache/...":            {"core/...", "policy", "failover"},
	"recursor/...":             {"core/...", "policy", "failover"},
	"authoritative/store/...":  {"core/wire"},
	"authoritative/...":        {"core/...", "policy", "failover"},
	"bench/...":                {"core/...", "policy", "failover", "e2e/holder", "e2e/controlplane", "e2e/stack"},
	"e2e/...":                  {"core/...", "policy", "failover"},
	"core/plane/dpdk/...":      {"core/plane/..."},
	"core/plane/socket/...":    {"core/plane/..."},
	"core/plane/planetest/...": {"core/plane/..."},
}

// A room is what go list says of a package.
type room struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string // all that it is built from
	CgoFiles   []string
}

// rooms are all packages of the module but those that git is told to ignore.
func rooms(t *testing.T) (all []room) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-tags=dpdk", "-json=ImportPath,Dir,GoFiles,Imports,Deps,CgoFiles", module+"...").Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		t.Fatalf("go list: %v\n%s", err, ended.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var r room
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		// Status 0: ignored; also where there is no git, nothing is.
		if exec.CommandContext(t.Context(), "git", "-C", r.Dir, "check-ignore", "-q", ".").Run() != nil {
			all = append(all, r)
		}
	}
}

func inRoom(name, pattern string) bool {
	if top, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == top || strings.HasPrefix(name, top+"/")
	}
	return name == pattern
}

// article is the entry of the law for a room: the one with the longest name.
func article(name string) (pattern string) {
	for p := range law {
		if inRoom(name, p) && len(p) > len(pattern) {
			pattern = p
		}
	}
	return pattern
}

// breaches are the lines of the law that a room breaks.
func breaches(r room) (all []string) {
	name := strings.TrimPrefix(r.ImportPath, module)
	own := article(name)
	if own == "" {
		return []string{name + " stands in no article of the law: add it"}
	}
	for _, dep := range r.Deps {
		used, ours := strings.CutPrefix(dep, module)
		allowed := func(pattern string) bool { return inRoom(used, pattern) }
		if ours && !inRoom(used, own) && !slices.ContainsFunc(law[own], allowed) {
			all = append(all, fmt.Sprintf("%s is built on %s; %s may use %v", name, used, own, law[own]))
		}
	}
	return all
}

// Who may build on whom (docs/architecture.md draws it).
func TestImportLaw(t *testing.T) {
	for _, r := range rooms(t) {
		for _, breach := range breaches(r) {
			t.Error(breach)
		}
	}
}

// The law bites.
func TestBreaches(t *testing.T) {
	for _, c := range []struct {
		room   string
		dep    string
		breach bool
	}{
		{"core/wire", "core/zone", true},
		{"core/zone", "core/wire", false},
		{"core/zone", "core/cache", true},
		{"core/daemon/admin", "core/daemon", false},
		{"core/daemon/admin", "core/wire", true},
		{"core/plane/socket", "core/plane", false},
		{"core/plane", "core/plane/socket", false},
		{"nodecache", "recursor", true},
		{"authoritative", "authoritative/store", false},
		{"authoritative/store", "core/wire", false},
		{"authoritative/store", "core/zone", true},
		{"recursor", "authoritative/store", true},
		{"somewhere/else", "core/wire", true},
	} {
		got := breaches(room{ImportPath: module + c.room, Deps: []string{"fmt", module + c.dep}})
		if len(got) > 0 != c.breach {
			t.Errorf("%s on %s: %q", c.room, c.dep, got)
		}
	}
}

// What only one room does.
func TestSoleRooms(t *testing.T) {
	for _, r := range rooms(t) {
		name := strings.TrimPrefix(r.ImportPath, module)
		if len(r.CgoFiles) > 0 && !inRoom(name, "core/plane/dpdk/...") {
			t.Errorf("%s uses cgo: only core/plane/dpdk may", name)
		}
		for _, path := range r.Imports {
			if strings.HasPrefix(path, "go.etcd.io/etcd/") && !inRoom(name, "authoritative/store/...") {
				t.Errorf("%s imports %s: only authoritative/store speaks to etcd", name, path)
			}
			if path == "github.com/miekg/dns" && (inRoom(name, "core/wire/...") || inRoom(name, "core/plane/...")) {
				t.Errorf("%s imports %s: it is not for packets", name, path)
			}
		}
	}
}

// Not asked of go list: its synopsis drops docs that begin with "Author…".
func TestPackageDocs(t *testing.T) {
	for _, r := range rooms(t) {
		hasDoc := func(file string) bool {
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(r.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			return parsed.Doc != nil
		}
		if !slices.ContainsFunc(r.GoFiles, hasDoc) {
			t.Errorf("%s has no package doc", strings.TrimPrefix(r.ImportPath, module))
		}
	}
}
