package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// What a config points to is looked at by check and before a start, and named with file,
// line and key.
func TestPointed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), strings.Repeat("secret", 5))
	write(t, filepath.Join(dir, "same"), strings.Repeat("secret", 5)+"\n")
	write(t, filepath.Join(dir, "short"), "secret")
	write(t, filepath.Join(dir, "two"), strings.Repeat("secret", 5)+"\n"+strings.Repeat("secret", 5))
	const tokens = "api: {tokens: [{name: a, file: DIR/secret, owner: o}, {name: b, file: DIR/"
	for config, want := range map[string]string{
		tokens + "none, owner: o}]}":                                        ":4: api.tokens[1].file: open DIR/none: no such file or directory",
		tokens + "same, owner: o}]}":                                        ":4: api.tokens[1].file: DIR/same holds the same secret as that of a",
		tokens + "short, owner: o}]}":                                       ":4: api.tokens[1].file: DIR/short: a token has at least 20 octets",
		tokens + "two, owner: o}]}":                                         ":4: api.tokens[1].file: DIR/two: a token has at least 20 octets",
		"api: {tls: {cert: DIR/none, key: DIR/secret}}":                     ":4: api.tls.cert: open DIR/none: no such file or directory",
		"api: {tls: {cert: DIR/secret, key: DIR/secret}}":                   ":4: api.tls.cert: DIR/secret: no certificate in it",
		"snapshot: DIR":                                                     ":4: snapshot: DIR is a folder; a file in it is wanted",
		"etcd: {endpoints: [\"https://h:1\"], tls: {ca: DIR/none}}":         ":4: etcd.tls: read CA: open DIR/none: no such file or directory",
		"etcd: {endpoints: [\"https://h:1\"], tls: {ca: DIR/secret}}":       ":4: etcd.tls: read CA DIR/secret: no certificate in it",
		"etcd: {endpoints: [\"http://h:1\"], embedded: {dir: DIR/secret}}":  ":4: etcd.embedded.dir: DIR/secret is not a folder",
		"etcd: {endpoints: [\"https://h:1\"], embedded: {dir: DIR/member}}": ":4: etcd.embedded.client: missing; the member speaks http",
		"probe: {admin: nowhere}":                                           ":4: probe.admin: found \"nowhere\", expected host:port",
		"probe: {admin: \"127.0.0.1:99999\"}":                               ":4: probe.admin: found \"127.0.0.1:99999\", expected host:port",
		"monitor: {admin: \"127.0.0.1:ninety\"}":                            ":4: monitor.admin: found \"127.0.0.1:ninety\", expected host:port",
		"probe: {control: /" + strings.Repeat("x", 120) + "}":               ":4: probe.control: a path of 121 octets",
	} {
		text := "zones: [{name: a.example, source: etcd}]\nlisten: [\"127.0.0.1:0\"]\ncontrol: \"\"\n" + config + "\n"
		if !strings.Contains(config, "etcd:") {
			text += "etcd: {endpoints: [\"http://127.0.0.1:1\"]}\n"
		}
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, strings.ReplaceAll(text, "DIR", dir))
		want := path + strings.ReplaceAll(want, "DIR", dir)
		for _, command := range []string{"check", "serve"} {
			var said bytes.Buffer
			status := run(t.Context(), []string{command, "--config", path}, &said, &said)
			if status != 1 || !strings.Contains(said.String(), want) || strings.Count(said.String(), "\n") != 1 {
				t.Errorf("%s of %s: status %d, %swant one line with %s", command, config, status, &said, want)
			}
		}
	}
}

// For the prober and the monitor, which have a client of their own, too; and a CA is
// not for endpoints without TLS, over which all would go in the clear.
func TestPointedByEtcd(t *testing.T) {
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "ca")
	for tls, want := range map[string]string{
		"endpoints: [\"https://h:1\"], tls: {ca: " + ca + "}": ":2: etcd.tls: read CA: open " + ca,
		"endpoints: [\"http://h:1\"], tls: {ca: " + ca + "}":  ":2: etcd.endpoints[0]: http://h:1 is not spoken to over TLS",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, "zones: [{name: cluster.local, source: etcd}]\netcd: {"+tls+"}\nmonitor: {cluster: a}\n")
		for _, command := range []string{"check", "serve", "monitor", "probe"} {
			var said bytes.Buffer
			if status := run(t.Context(), []string{command, "--config", path}, &said, &said); status != 1 || !strings.Contains(said.String(), path+want) {
				t.Errorf("%s: status %d, %swant %s", command, status, &said, want)
			}
		}
	}
}
