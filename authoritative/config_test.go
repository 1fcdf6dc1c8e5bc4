package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/plane/dpdk"
)

const example = "../configs/authoritative.yaml"

func TestExampleLoads(t *testing.T) {
	t.Parallel()
	c := defaults()
	if err := config.Load(example, &c, nil); err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Zones, want.Etcd.Endpoints, want.Snapshot = c.Zones, []string{"http://127.0.0.1:2379"}, "/var/lib/strata/authoritative.snapshot"
	want.Log.Format = c.Log.Format
	if !reflect.DeepEqual(c, want) {
		t.Errorf("what the example says to be the default is not:\n%+v\n%+v", c, want)
	}
	if len(c.Zones) != 4 || c.unused() != nil {
		t.Errorf("zones %+v, unused %v", c.Zones, c.unused())
	}
	for _, z := range c.Zones {
		if z.Source == fromFile {
			z.File = filepath.Join("../configs", z.File)
			if err := tryZone(z); err != nil {
				t.Error(err)
			}
		}
	}
}

// off is a setting behind a # without a space.
var off = regexp.MustCompile(`(?m)^(\s*)#([a-z])`)

// The example has every key there is, and with all of them on it is still right.
func TestExampleIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text = off.ReplaceAll(text, []byte("$1$2"))
	text = []byte(strings.Replace(string(text), `dir: ""`, "dir: /var/lib/strata/etcd", 1))
	path := filepath.Join(t.TempDir(), "all.yaml")
	write(t, path, string(text))
	c := defaults()
	if err := config.Load(path, &c, nil); err != nil {
		t.Error(err)
	}
	if got := strings.Join(c.unused(), " "); got != "anycast" {
		t.Errorf("without effect: %s", got)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	written, known := map[string]bool{}, map[string]bool{}
	keysOf(tree, "", written)
	fieldsOf(reflect.TypeFor[Config](), "", known)
	if !maps.Equal(written, known) {
		for _, key := range slices.Sorted(maps.Keys(known)) {
			if !written[key] {
				t.Errorf("%s is not in the example", key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(written)) {
			if !known[key] {
				t.Errorf("%s is in the example and not in the config", key)
			}
		}
	}
}

func keysOf(tree any, at string, keys map[string]bool) {
	switch tree := tree.(type) {
	case map[string]any:
		for key, value := range tree {
			keys[at+key] = true
			keysOf(value, at+key+".", keys)
		}
	case []any:
		for _, value := range tree {
			keysOf(value, at, keys)
		}
	}
}

func fieldsOf(typ reflect.Type, at string, keys map[string]bool) {
	if typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return
	}
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, squash, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		switch {
		case squash == "squash":
			fieldsOf(field.Type, at, keys)
		case name != "":
			keys[at+name] = true
			fieldsOf(field.Type, at+name+".", keys)
		}
	}
}

// Each problem by its line, its key and its words.
func TestConfigProblems(t *testing.T) {
	t.Parallel()
	const (
		file = "zones: [{name: example.org, source: file, file: x}]\n"
		auto = file + "plane: auto\ndpdk: {eal: [--no-pci], lcores: [0], addresses: [10.0.0.53/24]"
		etcd = "zones: [{name: example.org, source: etcd}]\netcd: {endpoints: [\"http://127.0.0.1:2379\"]}\n"
	)
	embedded := func(what string) string {
		return "zones: [{name: a.example, source: etcd}]\netcd:\n  endpoints: [\"http://127.0.0.1:2379\"]\n  embedded: {" + what + "}\n"
	}
	for text, want := range map[string]string{
		file:                         "",
		etcd:                         "",
		"{}":                         "zones: no zone is configured: there is nothing to answer",
		file + "listen: []\n":        ":2: listen: missing; where queries are answered",
		file + "workers: -1\n":       ":2: workers: -1 is too few",
		file + "plane: xdp\n":        `:2: plane: "xdp" is unknown; known: socket, dpdk, auto`,
		file + "plane: auto\n":       "dpdk.eal: missing; the devices to use",
		auto + "}\n":                 "",
		auto + ", exception: tun}\n": `dpdk.exception: "tun" is unknown; known: tap, none`,
		auto + ", idle: sleep}\n":    `dpdk.idle: "sleep" is unknown; known: poll, backoff, interrupt`,
		file + "plane: auto\ndpdk: {eal: [--no-pci], lcores: [1, 2, 1], addresses: [10.0.0.53/24]}\n":       "dpdk.lcores: CPU 1 stands twice",
		file + "plane: auto\ndpdk: {eal: [--no-pci], lcores: [-1], addresses: [10.0.0.53/24]}\n":            "dpdk.lcores: -1 is no CPU",
		file + "plane: auto\ndpdk: {eal: [--no-pci], lcores: [1], addresses: [224.0.0.53/24]}\n":            "dpdk.addresses: 224.0.0.53/24 is no host's address",
		file + "plane: auto\ndpdk: {eal: [--no-pci], lcores: [1], addresses: [10.0.0.0/24]}\n":              "dpdk.addresses: 10.0.0.0/24 is the first or last address of its network",
		file + "plane: auto\ndpdk: {eal: [--no-pci], lcores: [1], addresses: [fd53::53/64, fd53::53/64]}\n": "dpdk.addresses: fd53::53 stands twice",
		auto + "}\ntakeover: true\n":                                                             "takeover: two processes cannot have one DPDK port",
		auto + "}\nmax_udp: 1453\n":                                                              "max_udp: 1453 octets; a frame of the plane dpdk has room for 1452",
		file + "max_udp: 511\n":                                                                  ":2: max_udp: 511 octets; from 512 (RFC 1035) to 4096 can be sent",
		file + "max_udp: 4097\n":                                                                 ":2: max_udp: 4097 octets",
		file + "max_udp: big\n":                                                                  `:2: max_udp: found "big", expected a whole number`,
		file + "brake: {max_delete: 1.1}\n":                                                      ":2: brake.max_delete: 1.1 is not a share between 0 and 1",
		file + "brake: {max_delete: -.1}\n":                                                      ":2: brake.max_delete: -0.1 is not a share",
		file + "brake: {max_delete: .nan}\n":                                                     `:2: brake.max_delete: found ".nan", expected a number`,
		file + "tcp: {idle: 0s}\n":                                                               ":2: tcp.idle: 0s; how long a connection may be silent",
		file + "tcp: {clients: 0}\n":                                                             ":2: tcp.clients: 0; how many connections there may be",
		file + "tcp: {per_client: 0}\n":                                                          ":2: tcp.per_client: 0; how many connections one address may have",
		etcd + "monitor: {cluster: a, zone: example.org}\n":                                      "",
		etcd + "monitor: {cluster: a, zone: example.net}\n":                                      `:3: monitor.zone: "example.net" is in none of the zones with source etcd`,
		file + "monitor: {cluster: a, zone: example.org}\n":                                      `:2: monitor.zone: "example.org" is in none`,
		etcd + "monitor: {cluster: a b, zone: example.org}\n":                                    `:3: monitor.cluster: "a b" is not a short name`,
		etcd + "monitor: {cluster: a, zone: example.org, ttl: 100ms}\n":                          ":3: monitor.ttl: 100ms; whole seconds",
		etcd + "monitor: {cluster: a, zone: example.org, resync: 1ms}\n":                         ":3: monitor.resync: 1ms; every 10m is the default",
		etcd + "monitor: {cluster: a, zone: example.org, kubeconfig: x, manifests: y}\n":         ":3: monitor.manifests: kubeconfig is there too",
		etcd + "monitor: {cluster: a, zone: example.org, external: {zone: b.example}}\n":         `:3: monitor.external.zone: "b.example" is in none`,
		etcd + "monitor: {cluster: a, zone: example.org, external: {zone: Example.org}}\n":       `:3: monitor.external.zone: "Example.org" holds names of the cluster's own; another one, such as ext.example.org`,
		etcd + "monitor: {cluster: a, zone: example.org, external: {zone: svc.example.org}}\n":   `:3: monitor.external.zone: "svc.example.org" holds names`,
		etcd + "monitor: {cluster: a, zone: example.org, external: {zone: a.pod.example.org}}\n": `:3: monitor.external.zone: "a.pod.example.org" holds names`,
		etcd + "monitor: {cluster: a, zone: example.org, external: {sources: [x]}}\n":            `:3: monitor.external.sources[0]: "x" is unknown; known: load_balancer, external_ips`,

		file + "snapshott: x\n": `:2: snapshott: unknown key, did you mean "snapshot"?`,

		"zones: [{source: etcd}]\netcd: {endpoints: [\"http://h:1\"]}":                        ":1: zones[0].name: missing; the zone's apex",
		"zones: [{name: a..b, source: file, file: x}]":                                        `:1: zones[0].name: name "a..b": empty label`,
		"zones:\n- {name: a.b, source: file, file: x}\n- {name: A.b., source: file, file: x}": ":3: zones[1].name: zone A.b. stands twice",
		"zones: [{name: a.b}]":                                                         ":1: zones[0].source: missing; one of etcd, file",
		"zones: [{name: a.b, source: kubernetes}]":                                     `:1: zones[0].source: "kubernetes" is unknown; known: etcd, file`,
		"zones: [{name: a.b, source: file}]":                                           ":1: zones[0].file: missing; a zone with source file needs the path",
		"zones: [{name: a.b, source: file, file: x, ns: [c]}]":                         ":1: zones[0].ns: is for zones with source etcd",
		"zones: [{name: a.b, source: file, file: x, negative_ttl: 1s}]":                ":1: zones[0].negative_ttl: is for zones with source etcd",
		strings.Replace(etcd, "source: etcd", "source: etcd, file: x", 1):              ":1: zones[0].file: x is never read: the source is etcd",
		strings.Replace(etcd, "source: etcd", "source: etcd, ns: [a, b..c]", 1):        `:1: zones[0].ns[1]: "b..c" is not the name of a server`,
		strings.Replace(etcd, "source: etcd", "source: etcd, ns: [\".\"]", 1):          `:1: zones[0].ns[0]: "." is not the name of a server`,
		strings.Replace(etcd, "source: etcd", "source: etcd, negative_ttl: 1500ms", 1): ":1: zones[0].negative_ttl: 1.5s; whole seconds from 1s to 24h",
		strings.Replace(etcd, "source: etcd", "source: etcd, negative_ttl: 25h", 1):    ":1: zones[0].negative_ttl: 25h0m0s; whole seconds",

		"zones: [{name: a.b, source: etcd}]":                                "etcd.endpoints: missing; a zone has source etcd, so say where it is",
		strings.Replace(etcd, "http://127.0.0.1:2379", "127.0.0.1:2379", 1): `:2: etcd.endpoints[0]: "127.0.0.1:2379" is not http:// or https://host:port`,
		strings.Replace(etcd, "http://127.0.0.1:2379", "http://etcd", 1):    `:2: etcd.endpoints[0]: "http://etcd" is not http`,
		strings.Replace(etcd, "endpoints", "prefix: strata, endpoints", 1):  `:2: etcd.prefix: "strata"; it begins with a slash and ends without`,
		strings.Replace(etcd, "endpoints", "prefix: /s/, endpoints", 1):     `:2: etcd.prefix: "/s/"; it begins`,
		strings.Replace(etcd, "endpoints", "compare: 0s, endpoints", 1):     ":2: etcd.compare: 0s; every 10m is the default",
		strings.Replace(etcd, "endpoints", "user: u, endpoints", 1):         ":2: etcd.user: user and password go together",
		strings.Replace(etcd, "endpoints", "tls: {cert: c}, endpoints", 1):  ":2: etcd.tls: cert and key go together",
		embedded("name: a"):                                                    ":4: etcd.embedded.dir: missing; without it there is no member in this process",
		embedded("dir: x, peer: a"):                                            `:4: etcd.embedded.peer: "a" is not http://host:port`,
		embedded("dir: x, client: https://h:1"):                                `:4: etcd.embedded.client: "https://h:1" is not http://host:port`,
		embedded("dir: x, cluster: [{name: a, url: \"http://h:1\"}]"):          `:4: etcd.embedded.name: "" is none of the cluster's members`,
		embedded("dir: x, name: a, cluster: [{name: a, url: h}]"):              `:4: etcd.embedded.cluster[0].url: "h" is not http://host:port`,
		embedded("dir: x, name: a, cluster: [{name: a, url: \"http://h:1\"}]"): "",
		embedded("dir: x"):                                                     "",
		file + "etcd: {embedded: {dir: x}}\n":                                  ":2: etcd.embedded.client: missing, and there is no endpoint to take it from",
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		write(t, path, text)
		c := defaults()
		err := config.Load(path, &c, nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), path+":") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "more problem")):
			t.Errorf("%s\n said %v\n want %s", text, err, want)
		}
	}
}

// What the config points to: by check, and before a start.
func TestConfigPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	zone := filepath.Join(dir, "zone")
	write(t, zone, orgZone)
	n := &node{t: t, config: path}
	write(t, path, "zones: [{name: example.org, source: file, file: "+zone+"}]\nsnapshot: "+dir+"/no/snapshot\n")
	for _, command := range []string{"check", "serve"} {
		if said := n.fails(command); !strings.Contains(said, ":2: snapshot: stat "+dir+"/no: no such file or directory; make the folder") {
			t.Errorf("%s: %s", command, said)
		}
	}
	write(t, path, "zones: [{name: example.org, source: file, file: "+zone+"x}]\nsnapshot: "+zone+"/x\n")
	for _, command := range []string{"check", "serve"} {
		status, _, said := n.run(command)
		if status != 1 || !strings.Contains(said, ":1: zones[0].file: ") || !strings.Contains(said, "open "+zone+"x: no such file") {
			t.Errorf("%s: %d, %s", command, status, said)
		}
	}
	write(t, path, "zones: [{name: example.org, source: file, file: "+zone+"}, {name: a.example, source: etcd}]\netcd: {endpoints: [\"http://127.0.0.1:1\"]}\n")
	began := time.Now()
	if out := n.does("check"); out != path+": ok\n" || time.Since(began) > 4*time.Second {
		t.Errorf("check says %q after %s: etcd is none of its business", out, time.Since(began))
	}
}

// Who asks for the plane dpdk of a build without it is told at once.
func TestPlaneAbsent(t *testing.T) {
	t.Parallel()
	if dpdk.Built {
		t.Skip("this build has the plane dpdk")
	}
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "zones: [{name: example.org, source: file, file: x}]\nplane: dpdk\ndpdk: {eal: [--no-pci], lcores: [0], addresses: [10.0.0.53/24]}\n")
	c := defaults()
	if err := config.Load(path, &c, nil); err == nil || !strings.Contains(err.Error(), `:2: plane: "dpdk" is not in this build`) {
		t.Errorf("%v", err)
	}
}
