package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every template must be some contender's and come out without a gap.
func TestTemplates(t *testing.T) {
	used := map[string]bool{}
	for _, c := range contenders() {
		seat := Seat{Dir: t.TempDir(), Port: 12345, Admin: 12346, Upstream: 12347, Dead: 12348, Origin: origin, Zone: "/zone", Rules: newRules()}
		args, err := c.settle(seat)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(args, " ")
		for name, file := range c.Files {
			used[name] = true
			data, err := os.ReadFile(filepath.Join(seat.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			text += string(data)
		}
		if strings.Contains(text, "{{") || strings.Contains(text, "<no value>") {
			t.Errorf("%s: a template is left:\n%s", c.Name, text)
		}
		if !strings.Contains(text, "12345") || !strings.Contains(text, seat.Dir) {
			t.Errorf("%s listens elsewhere or writes elsewhere:\n%s", c.Name, text)
		}
	}
	names, err := fs.Glob(templates, "peers/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !used[strings.TrimPrefix(name, "peers/")] {
			t.Errorf("%s belongs to no contender", name)
		}
	}
}

// A peer the targets name must be one that is measured.
func TestTargetsNameContenders(t *testing.T) {
	lists := map[string][]Contender{tableAuthoritative: authoritatives, tableNodecache: caches, tableMemory: authoritatives,
		tableRules: ruled, tableJunk: junked, tableCold: stormed, tableAway: left,
		tableRecursorHits: recursors, tableRecursorMisses: forwarders, tableRecursorDead: abandoned,
		tableMemif: memifRows, tableXDP: xdpRows, tableStability: {onPorts}, tableKubernetes: clustered, tableChanges: changeRows}
	for _, target := range targets {
		if target.Table == tableLookup {
			continue // its contenders are sizes
		}
		for _, name := range []string{target.Against, target.Of} {
			if name != "" && !slices.ContainsFunc(lists[target.Table], func(c Contender) bool { return c.Name == name }) {
				t.Errorf("%s %s: who is %s?", target.Table, target.Metric, name)
			}
		}
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", filepath.Join(root, "path"))
	for _, file := range []string{"bin/ours", "bin/theirs", "path/ours", ".cache/bin/theirs", "path/theirs"} {
		file = filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for program, want := range map[string]string{"ours": "bin/ours", "theirs": ".cache/bin/theirs"} {
		c := Contender{Program: program, Ours: program == "ours"}
		if got, err := c.find(root); err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s is %s, %v", program, got, err)
		}
	}
	if err := os.Remove(filepath.Join(root, "bin/ours")); err != nil {
		t.Fatal(err)
	}
	if got, err := (Contender{Program: "ours", Ours: true}).find(root); err == nil {
		t.Errorf("a stranger's program is taken for ours: %s", got)
	}
}

func TestChoose(t *testing.T) {
	names := func(list []Contender) (names []string) {
		for _, c := range list {
			names = append(names, c.Name)
		}
		return names
	}
	if all, err := choose(authoritatives, nil); err != nil || len(all) != len(authoritatives) {
		t.Errorf("no list: %v, %v", names(all), err)
	}
	if some, err := choose(authoritatives, []string{"nsd", "unbound"}); err != nil || !slices.Equal(names(some), []string{"Strata", "NSD"}) {
		t.Errorf("nsd: %v, %v", names(some), err)
	}
	if some, err := choose(caches, []string{"bund"}); err == nil {
		t.Errorf("a misspelt name chooses %v", names(some))
	}
}

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"--only", "nodecache,memory", "--peers", "NSD,Knot", "--rounds", "7"})
	if err != nil || !slices.Equal(o.tables, []string{"nodecache", "memory"}) || !slices.Equal(o.Peers, []string{"NSD", "Knot"}) || o.Rounds != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parseOptions(nil); err != nil || !slices.Equal(o.tables, allTables) || o.Rounds != 3 || o.Hosts != 50_000 || o.Large != 2_000_000 {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	for _, bad := range [][]string{{"--only", "speed"}, {"--rounds", "0"}, {"--hosts", "5"}, {"extra"}} {
		if o, err := parseOptions(bad); err == nil {
			t.Errorf("%v is taken: %+v", bad, o)
		}
	}
}
