package resolvconf

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// A Result says in lines for people what was done.
type Result struct {
	Changed bool
	Lines   []string
}

func (r *Result) say(format string, args ...any) {
	r.Lines = append(r.Lines, fmt.Sprintf(format, args...))
}

// Write has the file say what is wanted. What was there is kept beside it; a second
// Write changes nothing, and never what is kept. A symbolic link is somebody else's
// file, and replaced on request only.
func (f *File) Write(w Wanted, replaceLink bool) (r Result, err error) {
	release, err := f.alone()
	if err != nil {
		return r, fmt.Errorf("write %s: %w", f.Path, explain(f.Path, err))
	}
	defer release()
	now, err := inspect(f.Path)
	if err == nil && now.link != "" && !replaceLink {
		return r, fmt.Errorf("write %s: it is a link to %s, which %s", f.Path, now.link, advice(now.link))
	}
	if err == nil {
		err = f.write(&w, &now, &r)
	}
	if err != nil {
		return r, fmt.Errorf("write %s: %w", f.Path, explain(f.Path, err))
	}
	return r, nil
}

// advice ends the sentence that says why a link is left alone.
func advice(link string) string {
	if m, ok := linkedBy(link); ok {
		return fmt.Sprintf("%s keeps: %s; or replace the link with --replace-link", m.name, m.advice)
	}
	return "somebody else keeps: replace it with --replace-link"
}

func (f *File) write(w *Wanted, now *target, r *Result) error {
	old, err := inspect(f.Backup())
	if err != nil {
		return err
	}
	is := now.unseal()
	base, name := is.body, ""
	switch {
	case old.exists && (is.intact || !now.exists || now.same(&old)):
		base = old.content // so that it does not matter how often it is written
	case is.intact || !now.exists: // there was none, or what there was is lost
	default:
		if name, err = f.place(now, 0); err != nil {
			return err
		}
	}
	had := old.exists || name != "" || is.ours && !is.fresh
	fresh := seal(w.render(base), f.keptAs(had))
	if now.link == "" && bytes.Equal(fresh, now.content) {
		r.say("%s is right already", f.Path)
		return nil
	}
	if immutable(f.Path) {
		return unix.EPERM
	}
	err = f.replace(fresh, now, func() error {
		if name == "" {
			return nil
		}
		return f.keep(name, now, r)
	})
	if err == nil {
		r.Changed = true
		r.say("%s is written", f.Path)
	}
	return err
}
