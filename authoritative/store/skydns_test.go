package store

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/strata-dns/strata/core/wire"
)

// What a key and its value say, one row each: what external-dns writes, and what
// CoreDNS reads from others.
func TestSkyDNSParse(t *testing.T) {
	t.Parallel()
	s := &SkyDNS{Prefix: "/skydns"}
	label := strings.Repeat("a", 63)
	for _, tc := range []struct{ key, value, want string }{
		{"/skydns/com/example/www/3f2a1b4c", `{"host":"10.0.0.1","ttl":60,"targetstrip":1}`, "www.example.com. A 60 10.0.0.1"},
		{"/skydns/com/example/www/3f2a1b4c", `{"host":"2001:db8::1","targetstrip":1}`, "www.example.com. AAAA 300 2001:db8::1"},
		{"/skydns/com/example/www/3f2a1b4c", `{"host":"::ffff:10.0.0.1","targetstrip":1}`, "www.example.com. A 300 10.0.0.1"},
		{"/skydns/com/example/www/3f2a1b4c", `{"host":"lb.example.net","text":"\"heritage=external-dns\"","targetstrip":1,"setIdentifier":"x"}`,
			`www.example.com. CNAME 300 lb.example.net.; www.example.com. TXT 300 "\"heritage=external-dns\""`},
		{"/skydns/com/example/_sip/_tcp/1", `{"host":"0 5 5060 sip.example.com","targetstrip":1}`, "_tcp._sip.example.com. SRV 300 0 5 5060 sip.example.com."},
		{"/skydns/com/example/1", `{"host":"10 mx.example.com","targetstrip":1}`, "example.com. MX 300 10 mx.example.com."},
		{"/skydns/com/example/svc/1", `{"host":"10.0.0.1","port":80,"priority":5,"weight":7,"targetstrip":1}`,
			"svc.example.com. A 300 10.0.0.1; svc.example.com. SRV 300 5 7 80 svc.example.com."},
		{"/skydns/com/example/svc/1", `{"host":"a.example.com","port":80,"targetstrip":1}`, "svc.example.com. SRV 300 10 100 80 a.example.com."},
		{"/skydns/com/example/m/1", `{"host":"a.example.com","mail":true,"targetstrip":1}`, "m.example.com. MX 300 10 a.example.com."},
		{"/skydns/arpa/in-addr/10/0/0/1", `{"host":"a.example.com"}`, "1.0.0.10.in-addr.arpa. PTR 300 a.example.com."},
		{"/skydns/com/example/a/b/c", `{"text":"x","targetstrip":2}`, `a.example.com. TXT 300 "x"`},
		{"/skydns/com/example/WWW", `{"text":"x","group":"g"}`, `www.example.com. TXT 300 "x"`},
		{"/skydns/com/example/*/1", `{"host":"10.0.0.1","targetstrip":1}`, "*.example.com. A 300 10.0.0.1"},
		{"/skydns/com/" + label, `{"text":"x"}`, label + `.com. TXT 300 "x"`},
		{"/skydns/com/t", `{"text":"` + strings.Repeat("x", 256) + `"}`, `t.com. TXT 300 "` + strings.Repeat("x", 255) + `" "x"`},

		{"/skydns/com/" + label + "a", `{"text":"x"}`, "! label of 64 octets"},
		{"/skydns/com//x", `{"text":"x"}`, "! label of 0 octets"},
		{"/skydns/", `{"text":"x"}`, "! label of 0 octets"},
		{"/other/com", `{"text":"x"}`, "! not below /skydns/"},
		{"/skydns/com/a.b", `{"text":"x"}`, `! label "a.b" of the key has a dot`},
		{"/skydns/" + strings.Repeat("a/", 130) + "a", `{"text":"x"}`, "! 255"},
		{"/skydns/com/x", `10.0.0.1`, "! invalid character"},
		{"/skydns/com/x", ``, "! unexpected end of JSON"},
		{"/skydns/com/x", `{}`, "! neither host nor text"},
		{"/skydns/com/x", `{"host":5}`, "! cannot unmarshal number"},
		{"/skydns/com/x", `{"host":"a b c"}`, "! neither an address nor a name"},
		{"/skydns/com/x", `{"host":"."}`, "! neither an address nor a name"},
		{"/skydns/com/x", `{"host":"1 2 x y.example"}`, `! "x" is no number in 0..65535`},
		{"/skydns/com/x", `{"host":"1 65536 3 y.example"}`, `! "65536" is no number`},
		{"/skydns/com/x", `{"host":"fe80::1%eth0"}`, "! has a zone"},
		{"/skydns/com/x", `{"host":"10.0.0.1","ttl":-1}`, "! ttl -1 is not in 0..2147483647"},
		{"/skydns/com/x", `{"host":"10.0.0.1","ttl":4294967295}`, "! ttl 4294967295"},
		{"/skydns/com/x", `{"host":"10.0.0.1","port":70000}`, "! port 70000"},
		{"/skydns/com/x", `{"host":"10.0.0.1","targetstrip":3}`, "! targetstrip 3 leaves nothing"},
		{"/skydns/com/x", `{"text":"` + strings.Repeat("x", 70_000) + `"}`, "! text of 70000 octets"},
	} {
		name, parts, err := s.parse(tc.key, []byte(tc.value))
		if want, bad := strings.CutPrefix(tc.want, "! "); bad {
			if err == nil || !strings.Contains(err.Error(), want) || len(parts) > 0 {
				t.Errorf("%.80s %.80s: %v, want %q", tc.key, tc.value, err, want)
			}
			continue
		}
		var got []string
		for _, part := range parts {
			text, err := rdataText(part.typ, part.rdata)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %s %d %s", wire.NameString(name), TypeString(part.typ), part.ttl, text))
		}
		if strings.Join(got, "; ") != tc.want || err != nil {
			t.Errorf("%s %.80s: %.200q, %v, want %q", tc.key, tc.value, got, err, tc.want)
		}
	}
}

// FuzzSkyDNS: whatever stands in etcd, what comes out of it is what a zone can hold.
func FuzzSkyDNS(f *testing.F) {
	f.Add("com/example/www/1", []byte(`{"host":"10.0.0.1","port":5,"mail":true,"text":"x","targetstrip":1}`))
	f.Add("arpa/in-addr/1", []byte(`{"host":"1 2 3 x.y"}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		s := &SkyDNS{Prefix: "/skydns"}
		name, parts, err := s.parse("/skydns/"+key, value)
		if err != nil {
			return
		}
		if checkName(name) != nil {
			t.Fatalf("name %x", name)
		}
		for _, part := range parts {
			if _, err := rdataText(part.typ, part.rdata); err != nil || part.ttl > MaxTTL {
				t.Fatal(part, err)
			}
		}
	})
}

// Records in both layouts are in one sink, and it follows both: what is put, changed,
// made bad and deleted; when cut off, and after the history is gone.
func TestSkyDNSWatch(t *testing.T) {
	t.Parallel()
	m := member(t)
	direct := client(t, m.Endpoints()...)
	if _, err := direct.Add(t.Context(), record(t, "www.example.org", "A", "static", 30, "10.9.9.9")); err != nil {
		t.Fatal(err)
	}
	raw(t, direct, "/skydns/org/example/www/1", `{"host":"10.0.0.1","ttl":60,"targetstrip":1}`)
	raw(t, direct, "/skydns/org/example/bad", `{`)
	raw(t, direct, "/skydns/org/other/bad", `{`)
	raw(t, direct, "/skydnsx/org/example/www/2", `{"host":"10.0.0.66"}`)
	raw(t, direct, "/strata/v1/records/org/example/x/A/external-dns", `{"ttl":30,"data":["10.0.0.66"]}`)

	relay := newRelay(t, m.Endpoints()[0])
	skips := &skipLog{}
	c, err := Open(Options{Endpoints: []string{relay.url()}, Log: testLog(t), Skip: skips.add})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sink := &tableSink{}
	w, stop := startWatcher(t, c, sink, WatchOptions{Compare: -1, SkyDNS: []SkyDNS{{Prefix: "/skydns", Zones: [][]byte{org}}, {Prefix: "/more/"}}})
	defer stop()
	holds := func(what string, want ...string) {
		t.Helper()
		want = append(want, "www.example.org. A (static) 30 10.9.9.9")
		slices.Sort(want)
		until(t, what+fmt.Sprintf(": %q", want), func() bool { return slices.Equal(sink.lines(), want) })
	}
	const www = "www.example.org. A (external-dns) "
	holds("at the start", www+"60 10.0.0.1")
	until(t, "skips", func() bool {
		return skips.has("/skydns/org/example/bad") && skips.has("/strata/v1/records/org/example/x/A/external-dns")
	})
	if skips.has("/skydns/org/other/bad") {
		t.Error("a zone of somebody else's is none of our business")
	}

	raw(t, direct, "/skydns/org/example/www/2", `{"host":"10.0.0.2","ttl":30,"targetstrip":1}`)
	raw(t, direct, "/skydns/org/other/www/2", `{"host":"10.0.0.2","ttl":30,"targetstrip":1}`)
	raw(t, direct, "/more/org/example/www/9", `{"host":"10.0.0.9","ttl":45,"targetstrip":1}`)
	holds("a second and third key", www+"30 10.0.0.1 10.0.0.2 10.0.0.9")
	raw(t, direct, "/skydns/org/example/www/2", `{"host":"lb.example.net","targetstrip":1}`)
	holds("a name beside addresses is left out", www+"45 10.0.0.1 10.0.0.9")
	until(t, "it is said", func() bool { return skips.has("/skydns/org/example/www/2") })

	relay.set(true)
	until(t, "disconnected", func() bool { return !w.Connected() })
	etcd, err := direct.conn()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"/skydns/org/example/www/1", "/more/org/example/www/9"} {
		if _, err := etcd.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	relay.set(false)
	holds("the name alone", "www.example.org. CNAME (external-dns) 300 lb.example.net.")
	raw(t, direct, "/skydns/org/example/www/0", `{"host":"first.example.net","targetstrip":1}`)
	holds("the lowest key's", "www.example.org. CNAME (external-dns) 300 first.example.net.")

	relay.set(true)
	until(t, "disconnected", func() bool { return !w.Connected() })
	raw(t, direct, "/skydns/org/example/www/0", `{"host":5}`)
	gone, err := etcd.Delete(t.Context(), "/skydns/org/example/www/2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Compact(t.Context(), gone.Header.Revision); err != nil {
		t.Fatal(err)
	}
	relay.set(false)
	holds("nothing after a compaction")
	raw(t, direct, "/skydns/org/example/www/7", `{"host":"10.0.0.7","text":"t","targetstrip":1}`)
	holds("and on", www+"300 10.0.0.7", `www.example.org. TXT (external-dns) 300 "t"`)
}

// A skipLog remembers which keys were left out.
type skipLog struct {
	mu   sync.Mutex
	keys map[string]error
}

func (s *skipLog) add(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string]error{}
	}
	s.keys[key] = err
}

func (s *skipLog) has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[key] != nil
}

// Of many CNAMEs the lowest key's is taken, in whatever order they came, and the others
// are reported.
func TestSkyDNSOneCNAME(t *testing.T) {
	t.Parallel()
	sets := newSkySets()
	touched := map[string]bool{}
	for i := range 30 {
		i = (i*7 + 11) % 30
		target := wire.MustName(fmt.Sprintf("t%02d.example.net", i))
		sets.put(fmt.Sprintf("/skydns/org/example/%02d", i), org, []skyPart{{typ: 5, ttl: 30, rdata: target}}, touched)
	}
	skips := &skipLog{}
	changes := sets.changes(touched, 1, skips.add)
	if len(changes) != 1 || line(changes[0].Record) != "example.org. CNAME (external-dns) 30 t00.example.net." || len(skips.keys) != 29 {
		t.Errorf("%v, %d left out", changes, len(skips.keys))
	}
}

// A gapSink has something written between what is read and what is watched.
type gapSink struct {
	*tableSink
	once  sync.Once
	write func()
}

func (s *gapSink) Replace(records iter.Seq2[Record, error], revision int64) error {
	err := s.tableSink.Replace(records, revision)
	s.once.Do(s.write)
	return err
}

// What is written after the reading and before the watch is not missed.
func TestSkyDNSGap(t *testing.T) {
	t.Parallel()
	c := client(t, member(t).Endpoints()...)
	sink := &gapSink{tableSink: &tableSink{}, write: func() { raw(t, c, "/skydns/org/example/www", `{"host":"10.0.0.1"}`) }}
	watching(t, c, sink, WatchOptions{Compare: -1, SkyDNS: []SkyDNS{{Prefix: "/skydns"}}})
	until(t, "the record", func() bool {
		return slices.Equal(sink.lines(), []string{"www.example.org. A (external-dns) 300 10.0.0.1"})
	})
}
