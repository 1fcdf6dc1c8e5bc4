package resolvconf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

const before = "# by hand\nsearch a.example b.example\nnameserver 10.9.9.9\nweird line\n"

// put writes a file of its own mode and owner, and gives its path.
func put(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	do(t, os.WriteFile(path, []byte(text), 0o600))
	do(t, os.Chmod(path, 0o640))
	if os.Geteuid() == 0 {
		do(t, os.Chown(path, 12, 34))
	}
	return path
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// at is inspect of what must be there.
func at(t *testing.T, path string) target {
	t.Helper()
	is, err := inspect(path)
	do(t, err)
	return is
}

func write(t *testing.T, f *File, link bool) Result {
	t.Helper()
	r, err := f.Write(wanted, link)
	do(t, err)
	return r
}

func restore(t *testing.T, f *File) Result {
	t.Helper()
	r, err := f.Restore()
	do(t, err)
	return r
}

// among are the names beside the file.
func among(t *testing.T, f *File) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(f.Path))
	do(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// alike tells whether two are the same but for their times.
func alike(a, b target) bool {
	return a.exists == b.exists && a.link == b.link && bytes.Equal(a.content, b.content) && a.mode == b.mode && a.uid == b.uid && a.gid == b.gid
}

// Each way a file can be there, written twice and restored: it is as it was, and
// nothing is left.
func TestThereAndBack(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) (path string, link bool){
		"a file":         func(t *testing.T) (string, bool) { return put(t, before), false },
		"an empty file":  func(t *testing.T) (string, bool) { return put(t, ""), false },
		"no file":        func(t *testing.T) (string, bool) { return filepath.Join(t.TempDir(), "resolv.conf"), false },
		"a dangling one": func(t *testing.T) (string, bool) { return linkTo(t, "../run/resolv.conf"), true },
		"a link": func(t *testing.T) (string, bool) {
			path := linkTo(t, "stub.conf")
			do(t, os.WriteFile(filepath.Join(filepath.Dir(path), "stub.conf"), []byte(before), 0o644))
			return path, true
		},
		"a mount of its own": func(t *testing.T) (string, bool) {
			path := put(t, before)
			mount(t, put(t, before+strings.Repeat("# long\n", 100)), path, 0)
			return path, false
		},
		"a short mount": func(t *testing.T) (string, bool) {
			path := put(t, before)
			mount(t, put(t, "#"), path, 0)
			return path, false
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, link := prepare(t)
			f := &File{Path: path}
			was, names := at(t, path), among(t, f)
			if !write(t, f, link).Changed {
				t.Error("nothing was written")
			}
			first := at(t, path)
			s := Parse(first.content)
			if first.link != "" || !unseal(first.content).intact || s.Servers[0].String() != "127.0.0.1" || was.link == "" && (first.mode != was.mode || first.uid != was.uid || first.gid != was.gid) {
				t.Errorf("it is %+v\n%s", first, first.content)
			}
			kept := at(t, f.Backup())
			if kept.exists != was.exists || was.exists && !alike(kept, was) {
				t.Errorf("kept is %+v", kept)
			}
			if write(t, f, link).Changed || !alike(at(t, path), first) {
				t.Errorf("the second time it is %q", at(t, path).content)
			}
			if r := restore(t, f); !r.Changed || !alike(at(t, path), was) {
				t.Errorf("then it is %+v, was %+v", at(t, path), was)
			}
			if restore(t, f).Changed {
				t.Error("the second restoring changed something")
			}
			if got := among(t, f); strings.Join(got, " ") != strings.Join(names, " ") {
				t.Errorf("beside it are %q, were %q", got, names)
			}
		})
	}
}

func linkTo(t *testing.T, to string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	do(t, os.Symlink(to, path))
	return path
}

// Whatever bytes were there, they are there again.
func TestThereAndBackAnything(t *testing.T) {
	f := &File{Path: filepath.Join(t.TempDir(), "resolv.conf")}
	rapid.Check(t, func(r *rapid.T) {
		old := files.Draw(r, "old")
		do(t, os.WriteFile(f.Path, old, 0o644))
		other := Wanted{Servers: addrs("127.0.0.1", "10.0.0.7"), KeepSearch: true}
		for _, w := range []Wanted{wanted, other, wanted} {
			if _, err := f.Write(w, false); err != nil {
				r.Fatal(err)
			}
		}
		if _, err := f.Restore(); err != nil {
			r.Fatal(err)
		}
		if now, err := os.ReadFile(f.Path); err != nil || !bytes.Equal(now, old) {
			r.Fatalf("%q became %q, %v", old, now, err)
		}
	})
}

// Killed before any step, the file is the old one or the new one as a whole, the next
// Write ends well, and what was there at first comes back.
func TestKilled(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) string{
		"write":   func(t *testing.T) string { return put(t, before) },
		"link":    func(t *testing.T) string { return linkTo(t, "../run/resolv.conf") },
		"restore": func(t *testing.T) string { return put(t, before) },
		"write a mount": func(t *testing.T) string {
			path := put(t, "x")
			mount(t, put(t, before+strings.Repeat("# long\n", 100)), path, 0)
			return path
		},
		"restore a mount": func(t *testing.T) string {
			path := put(t, "x")
			mount(t, put(t, before), path, 0)
			return path
		},
	} {
		t.Run(name, func(t *testing.T) {
			what, _, _ := strings.Cut(name, " ")
			steps := 0
			for ; ; steps++ {
				f := &File{Path: prepare(t)}
				was := at(t, f.Path)
				fresh := seal(wanted.render(was.content), filepath.Base(f.Backup()))
				if what == "restore" {
					write(t, f, false)
				}
				died := killed(t, what, f.Path, steps)
				now := at(t, f.Path)
				half := !alike(now, was) && !bytes.Equal(now.content, fresh)
				if strings.HasSuffix(name, "mount") { // in place, what was longer is blank at its end until it is cut
					half = !now.same(&was) && !now.same(&target{exists: true, content: fresh})
				}
				if half {
					t.Errorf("killed before step %d it is %q", steps, now.content)
				}
				write(t, f, true)
				if got := at(t, f.Path); !bytes.Equal(got.content, fresh) {
					t.Errorf("killed before step %d, written again it is %q", steps, got.content)
				}
				restore(t, f)
				if got := at(t, f.Path); !alike(got, was) {
					t.Errorf("killed before step %d, restored it is %q", steps, got.content)
				}
				if !died {
					break
				}
			}
			if steps < 2 {
				t.Errorf("%d steps", steps)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	refuse := func(t *testing.T, err error, words ...string) {
		t.Helper()
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line with %q", err, w)
			}
		}
	}
	t.Run("a link", func(t *testing.T) {
		for to, words := range map[string][]string{
			"../run/systemd/resolve/stub-resolv.conf": {"systemd-resolved keeps", "DNSStubListener=no", "--replace-link"},
			"/run/NetworkManager/resolv.conf":         {"NetworkManager keeps", "dns=none", "--replace-link"},
			"/run/resolvconf/resolv.conf":             {"resolvconf keeps", "--replace-link"},
			"/elsewhere":                              {"somebody else keeps", "--replace-link"},
		} {
			f := &File{Path: linkTo(t, to)}
			_, err := f.Write(wanted, false)
			refuse(t, err, append(words, to, f.Path)...)
			if got := among(t, f); len(got) != 1 {
				t.Errorf("beside it: %q", got)
			}
		}
	})
	t.Run("a directory that is read-only", func(t *testing.T) {
		f := &File{Path: put(t, before)}
		dir := filepath.Dir(f.Path)
		mount(t, dir, dir, unix.MS_RDONLY)
		_, err := f.Write(wanted, false)
		refuse(t, err, f.Path, "read-only", "nothing was changed")
		if got := at(t, f.Path); string(got.content) != before || len(among(t, f)) != 1 {
			t.Errorf("it is %q beside %q", got.content, among(t, f))
		}
	})
	t.Run("an immutable file", func(t *testing.T) {
		f := &File{Path: put(t, before)}
		if out, err := exec.Command("chattr", "+i", f.Path).CombinedOutput(); err != nil {
			t.Skipf("chattr: %v: %s", err, out)
		}
		t.Cleanup(func() { do(t, exec.Command("chattr", "-i", f.Path).Run()) })
		_, err := f.Write(wanted, false)
		refuse(t, err, "immutable", "chattr -i "+f.Path)
		if got := among(t, f); len(got) != 1 {
			t.Errorf("beside it: %q", got)
		}
	})
	t.Run("no file at all", func(t *testing.T) {
		f := &File{Path: filepath.Join(t.TempDir(), "resolv.conf")}
		do(t, unix.Mkfifo(f.Path, 0o600))
		_, err := f.Write(wanted, false)
		refuse(t, err, f.Path, "is no file")
	})
	t.Run("no directory", func(t *testing.T) {
		_, err := (&File{Path: "/nonexistent/resolv.conf"}).Write(wanted, false)
		refuse(t, err, "/nonexistent", "no such file")
	})
	t.Run("the old one is lost", func(t *testing.T) {
		f := &File{Path: put(t, before)}
		write(t, f, false)
		do(t, os.Remove(f.Backup()))
		_, err := f.Restore()
		refuse(t, err, f.Backup()+" is not there")
		write(t, f, false)
		if _, err := f.Restore(); err == nil {
			t.Error("restored what is lost")
		}
	})
}

// What somebody else wrote over our file is not lost by either command.
func TestSomebodyElse(t *testing.T) {
	const theirs, later = "nameserver 10.8.8.8\n# by DHCP\n", "nameserver 10.7.7.7\n"
	f := &File{Path: put(t, before)}
	write(t, f, false)
	do(t, os.WriteFile(f.Path, []byte(theirs), 0o644))
	if _, err := f.Restore(); err == nil || !strings.Contains(err.Error(), "somebody else has changed it") {
		t.Errorf("got %v", err)
	}
	for range 2 { // the same again is kept once
		do(t, os.WriteFile(f.Path, []byte(theirs), 0o644))
		write(t, f, false)
	}
	if got := string(at(t, f.Backup()).content); got != before {
		t.Errorf("the first one became %q", got)
	}
	if got := string(at(t, f.Backup()+".1").content); got != theirs {
		t.Errorf("theirs is %q", got)
	}
	do(t, os.Remove(f.Path))
	do(t, os.WriteFile(f.Path, []byte(later), 0o644))
	f.Force = true
	restore(t, f)
	if got := string(at(t, f.Path).content); got != before {
		t.Errorf("restored is %q", got)
	}
	if got := string(at(t, f.Backup()+".2").content); got != later {
		t.Errorf("the later one is %q", got)
	}
}

// The search list is there again when it is wanted again.
func TestSearchKeptLater(t *testing.T) {
	f := &File{Path: put(t, before)}
	write(t, f, false)
	if s := Parse(at(t, f.Path).content); len(s.Search) != 1 || !s.Domain {
		t.Errorf("got %+v", s)
	}
	_, err := f.Write(Wanted{Servers: wanted.Servers, KeepSearch: true}, false)
	do(t, err)
	if s := Parse(at(t, f.Path).content); len(s.Search) != 2 {
		t.Errorf("got %+v", s)
	}
}
