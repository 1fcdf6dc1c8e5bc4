package resolvconf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A target is what stands at a path.
type target struct {
	exists  bool
	link    string // where a symbolic link points to; "": it is none
	content []byte // of the file, or of what the link leads to
	mode    fs.FileMode
	uid     int
	gid     int
	info    fs.FileInfo // of the file or link itself
}

// inspect looks at a path. There being nothing, or a link that leads nowhere, is no
// error.
func inspect(path string) (t target, err error) {
	t.mode, t.uid, t.gid = 0o644, os.Geteuid(), os.Getegid()
	t.info, err = os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	t.exists = true
	switch t.info.Mode().Type() {
	case fs.ModeSymlink:
		if t.link, err = os.Readlink(path); err != nil {
			return t, err
		}
	case 0:
		t.mode = t.info.Mode().Perm()
		if owner, ok := t.info.Sys().(*syscall.Stat_t); ok {
			t.uid, t.gid = int(owner.Uid), int(owner.Gid)
		}
	default:
		return t, fmt.Errorf("%s is no file but a %s", path, t.info.Mode().Type())
	}
	t.content, err = os.ReadFile(path)
	if t.link != "" && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return t, err
}

// same tells whether two stand for the same: the same text, but for blank lines that
// are left of a longer one, or links to one place.
func (t *target) same(other *target) bool {
	if t.exists != other.exists || t.link != other.link {
		return false
	}
	return t.link != "" || bytes.Equal(bytes.TrimRight(t.content, "\n"), bytes.TrimRight(other.content, "\n"))
}

// immutable tells whether nobody may change the file (chattr +i).
func immutable(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0
}

// explain says of an error what would be right.
func explain(path string, err error) error {
	dir := filepath.Dir(path)
	switch {
	case err == nil:
		return nil
	case immutable(path):
		return fmt.Errorf("%w: %s is immutable, somebody wants it to stay as it is; to change it: chattr -i %s", err, path, path)
	case immutable(dir):
		return fmt.Errorf("%w: %s is immutable; to change it: chattr -i %s", err, dir, dir)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: %s cannot be written to: nothing was changed", err, dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: it needs root, or write permission in %s", err, dir)
	}
	return err
}
