package resolvconf

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Restore puts back what was there before the first Write: the same file or link, or
// none. It refuses to when somebody else has changed the file since, but with Force,
// and then keeps what it replaces.
func (f *File) Restore() (r Result, err error) {
	release, err := f.alone()
	if err == nil {
		defer release()
		err = f.restore(&r)
	}
	if err != nil {
		return r, fmt.Errorf("restore %s: %w", f.Path, explain(f.Path, err))
	}
	return r, nil
}

func (f *File) restore(r *Result) error {
	now, err := inspect(f.Path)
	if err != nil {
		return err
	}
	old, err := inspect(f.Backup())
	if err != nil {
		return err
	}
	is := now.unseal()
	switch {
	case old.exists && now.same(&old) && len(now.content) == len(old.content): // a Write that did not come to its end
		r.say("%s is as it was", f.Path)
		return remove(f.Backup())
	case !old.exists && !is.ours:
		r.say("%s is not nodecache's: nothing to restore", f.Path)
		return nil
	case !old.exists && !is.fresh:
		return fmt.Errorf("%s is not there: what was there before is lost", f.Backup())
	case !is.intact && !f.Force && !now.same(&old):
		return fmt.Errorf("somebody else has changed it since nodecache wrote it: --force restores it and keeps theirs beside it; to stay with theirs, remove %s", f.Backup())
	}
	if immutable(f.Path) {
		return unix.EPERM
	}
	if !is.intact && now.exists {
		name, err := f.place(&now, 1)
		if err == nil && name != "" {
			err = f.keep(name, &now, r)
		}
		if err != nil {
			return err
		}
	}
	if err := f.putBack(&old); err != nil {
		return err
	}
	r.Changed = true
	r.say("%s is as it was before nodecache", f.Path)
	return syncDir(f.Path)
}

// putBack has the old file take its place again, or none where there was none.
func (f *File) putBack(old *target) error {
	f.before("put back")
	if !old.exists {
		return os.Remove(f.Path)
	}
	err := os.Rename(f.Backup(), f.Path)
	if errors.Is(err, unix.EBUSY) { // a mount of its own
		if err := f.overwrite(old.content); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	f.before("remove the old name")
	return remove(f.Backup())
}
