package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/wire"
)

// TestWarmRestart saves a cache and reads it into another 20 s later, as a host
// does that was down in between: entries have aged, and none is lost that can
// still be served.
func TestWarmRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	play(t, Options{}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, address)
		s.fill("old.example.", dns.TypeA, "old.example. 10 IN A 192.0.2.1")
		s.fill("alias.example.", dns.TypeAAAA, "alias.example. 60 IN CNAME b.other.", "b.other. 60 IN AAAA 2001:db8::1", "b.other. 60 IN AAAA 2001:db8::2")
		box := s.wait("no.example.", dns.TypeA)
		s.next().nxdomain("AUTHORITY", soa)
		s.reply(box)
		box = s.wait("www.example.", dns.TypeA, withDO, withCD)
		s.next().answer("AD", address, rrsig("www.example.", "A"))
		s.reply(box)
		box = s.wait("bad.example.", dns.TypeA)
		s.next().fail()
		s.reply(box)
		time.Sleep(5 * time.Second)
		if n, err := s.Save(path); n != 5 || err != nil {
			t.Fatalf("%d saved, %v", n, err)
		}
		time.Sleep(20 * time.Second)
		again := open(t, Options{})
		defer again.Close()
		if n, err := again.Load(path); n != 5 || err != nil {
			t.Fatalf("%d loaded, %v", n, err)
		}
		for _, tt := range []struct {
			name    string
			typ     uint16
			options []option
			state   State
			rcode   int
			records int
			ttl     uint32
		}{
			{"www.example.", dns.TypeA, nil, Hit, 0, 1, 35},
			{"www.example.", dns.TypeA, []option{withDO, withCD}, Hit, 0, 2, 35},
			{"www.example.", dns.TypeA, []option{withDO}, Miss, 0, 0, 0},
			{"alias.example.", dns.TypeAAAA, nil, Hit, 0, 3, 35},
			{"no.example.", dns.TypeA, nil, Hit, dns.RcodeNameError, 1, 275},
			{"old.example.", dns.TypeA, nil, Miss, 0, 0, 0},
			{"bad.example.", dns.TypeA, nil, Miss, 0, 0, 0},
		} {
			m, state := again.ask(tt.name, tt.typ, tt.options...)
			if state != tt.state {
				t.Errorf("%s: %v, want %v", tt.name, state, tt.state)
			} else if state == Hit && (m.Rcode != tt.rcode || len(records(m)) != tt.records || ttlOf(m) != tt.ttl) {
				t.Errorf("%s: got\n%v", tt.name, m)
			}
		}
		box = again.wait("old.example.", dns.TypeA)
		again.next().fail()
		if m := again.reply(box); len(m.Answer) != 1 || ttlOf(m) != 30 {
			t.Errorf("stale from the file:\n%v", m)
		}
		if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
			t.Errorf("left behind: %v", files)
		}
	})
}

// TestLoadDoesNotReplace checks that what is known already is newer than a file.
func TestLoadDoesNotReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	play(t, Options{}, func(s *scene) {
		s.fill("www.example.", dns.TypeA, address)
		if _, err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		s.Flush(Match{})
		s.fill("www.example.", dns.TypeA, "www.example. 1000 IN A 192.0.2.2")
		if n, err := s.Load(path); n != 0 || err != nil {
			t.Errorf("%d loaded, %v", n, err)
		}
		if m, _ := s.ask("www.example.", dns.TypeA); ttlOf(m) != 1000 {
			t.Errorf("replaced:\n%v", m)
		}
	})
}

// saved is the file of a cache with a few entries.
func saved(tb testing.TB) []byte {
	tb.Helper()
	c := filled(tb, 3)
	var b bytes.Buffer
	if n, err := c.write(&b); n != 3 || err != nil {
		tb.Fatalf("%d saved, %v", n, err)
	}
	return b.Bytes()
}

func TestLoadCorrupt(t *testing.T) {
	good := saved(t)
	cases := map[string][]byte{
		"empty":        {},
		"text":         []byte("this is no cache file at all, but it is long enough for one"),
		"version":      bytes.Replace(good, []byte("cache\n\x02"), []byte("cache\n\x01"), 1),
		"more behind":  append(bytes.Clone(good), 0),
		"without end":  sum(good[:len(good)-12]),
		"huge record":  sum(append(bytes.Clone(good[:len(fileMagic)]), 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0)),
		"short record": sum(append(bytes.Clone(good[:len(fileMagic)]), 0, 0, 0, 200, 0, 0, 0, 0)),
	}
	for n := range len(good) - 1 {
		if n%17 == 0 {
			cases["cut at "+string(rune('0'+n/17))] = good[:n]
			flipped := bytes.Clone(good)
			flipped[n] ^= 0x10
			cases["flipped at "+string(rune('0'+n/17))] = flipped
		}
	}
	for what, file := range cases {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cache")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, Options{})
			defer s.Close()
			n, err := s.Load(path)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
				t.Fatalf("%d loaded, %v", n, err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the file is still where the next Save would write")
			}
			if aside, _ := os.ReadFile(path + ".corrupt"); !bytes.Equal(aside, file) {
				t.Error("the file was not left aside as it was")
			}
		})
	}
}

// sum appends the sum to a file made by hand.
func sum(b []byte) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(b), crc64.Checksum(b, crcTable))
}

func TestLoadNothing(t *testing.T) {
	s := open(t, Options{})
	defer s.Close()
	if n, err := s.Load(filepath.Join(t.TempDir(), "none")); n != 0 || err != nil {
		t.Errorf("%d loaded, %v", n, err)
	}
	if _, err := s.Load(t.TempDir()); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := s.Save(filepath.Join(t.TempDir(), "none", "cache")); err == nil {
		t.Error("saved to a directory that is not there")
	}
}

// TestLoadWhatIsNoFile has something else stand where the file should be: one line
// names it, and it stays.
func TestLoadWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo, locked := filepath.Join(dir, "fifo"), filepath.Join(dir, "locked")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(locked, saved(t), 0); err != nil {
		t.Fatal(err)
	}
	paths := []string{dir, fifo, filepath.Join(locked, "below")}
	if os.Getuid() != 0 { // whom no mode keeps out
		paths = append(paths, locked)
	}
	for _, path := range paths {
		s := open(t, Options{})
		defer s.Close()
		n, err := s.Load(path)
		if n != 0 || err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %d loaded, %v", path, n, err)
		}
		if _, err := os.Lstat(path + ".corrupt"); err == nil {
			t.Errorf("%s was renamed", path)
		}
	}
}

// TestDiskFull saves to a file system that has room for one file only: the old one stays.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "cache")
	if n, err := filled(t, 100).Save(path); n != 100 || err != nil {
		t.Fatalf("%d saved, %v", n, err)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filled(t, 2000).Save(path); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Errorf("saved to a full disk: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
		t.Errorf("the old file is not what it was: %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

// FuzzLoad reads any file, with its sum made right: what was read can be served,
// and nothing that is not a good answer is.
func FuzzLoad(f *testing.F) {
	good := saved(f)
	f.Add(good[:len(good)-8])
	f.Add(good[:len(good)-20])
	f.Add([]byte(fileMagic + "\x00\x00\x00\x00"))
	path := filepath.Join(f.TempDir(), "cache")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, sum(b), 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path + ".corrupt")
		synctest.Test(t, func(t *testing.T) {
			s := open(t, Options{})
			defer s.Close()
			s.Load(path)
			for it := range s.Dump() {
				serve(t, s.Cache, &it.Question)
			}
		})
	})
}

// serve asks for what is stored, and checks that the reply is whole and to the
// question.
func serve(t *testing.T, c *Cache, asked *Question) {
	t.Helper()
	if asked.Class != wire.ClassIN {
		return // never looked for
	}
	flags := wire.FlagRD
	if asked.CD {
		flags |= wire.FlagCD
	}
	edns := &wire.EDNS{UDPSize: 1232, DO: asked.DO}
	b := append(make([]byte, 0, 65535), wire.AppendQuery(nil, 7, flags, asked.Name, asked.Type, asked.Class, edns)...)
	var q wire.Query
	if q.Parse(b) != wire.Valid {
		t.Fatalf("stored a question nobody can ask: %+v", asked)
	}
	reply, state := c.Answer(&q, b, 65535, c.Now())
	if state == Miss {
		return
	}
	if wire.ID(reply) != 7 || !wire.EqualFold(reply[12:wire.QuestionEnd(reply)-4], asked.Name) {
		t.Fatalf("asked for %+v, got %x", asked, reply)
	}
	r, _ := wire.NewReader(reply)
	var rec wire.Record
	var name [wire.MaxName]byte
	for r.Next(&rec) {
		if _, _, ok := wire.ReadName(reply, rec.Name, &name); !ok {
			t.Fatalf("broken owner in %x", reply)
		}
	}
	if r.Bad() || r.Offset() != len(reply) {
		t.Fatalf("not a whole message: %x", reply)
	}
}
