package resolvconf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// suffix of the name under which the old file is kept, beside the new one.
const suffix = ".strata-backup"

// A File is a resolv.conf at its place.
type File struct {
	Path  string
	Force bool // restore over what somebody else has changed

	step func(name string) // before each change, for tests
}

// Backup is where the file is kept that was there before.
func (f *File) Backup() string { return f.Path + suffix }

func (f *File) before(name string) {
	if f.step != nil {
		f.step(name)
	}
}

// alone keeps other processes of ours from changing the file until the function
// that it returns is called.
func (f *File) alone() (release func(), err error) {
	dir, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		_ = dir.Close()
		return nil, os.NewSyscallError("flock", err)
	}
	return func() { _ = dir.Close() }, nil
}

// replace puts data where the file is: all of it or nothing. like gives mode, owner
// and labels; keepOld is called when the new file is on disk, before it is seen.
func (f *File) replace(data []byte, like *target, keepOld func() error) error {
	temporary := f.Path + ".strata-new"
	f.before("write the new file")
	err := writeNew(temporary, data, like, f.Path)
	if err == nil {
		err = keepOld()
	}
	if err == nil {
		f.before("take its place")
		err = os.Rename(temporary, f.Path)
	}
	switch {
	case err == nil:
		return syncDir(f.Path)
	case errors.Is(err, unix.EBUSY): // a mount of its own
		err = f.overwrite(data)
	}
	_ = os.Remove(temporary) // the next Write writes over it
	return err
}

// writeNew writes a file that survives a crash.
func writeNew(path string, data []byte, like *target, labelled string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if like.exists && like.link == "" {
		copyAttributes(labelled, path)
	}
	if err := file.Chown(like.uid, like.gid); err != nil {
		return err
	}
	if err := file.Chmod(like.mode); err != nil {
		return err
	}
	return file.Sync()
}

// copyAttributes copies security labels and access lists where there are any, and
// where the file system has them. Without, the file is one like others in its place.
func copyAttributes(from, to string) {
	for _, name := range []string{"security.selinux", "security.SMACK64", "system.posix_acl_access"} {
		value := make([]byte, 4096)
		if n, err := unix.Lgetxattr(from, name, value); err == nil {
			_ = unix.Lsetxattr(to, name, value[:n], 0)
		}
	}
}

// overwrite writes over the file itself, in one write: what is longer of the old one
// turns to blank lines before it is cut off.
func (f *File) overwrite(data []byte) (err error) {
	file, err := os.OpenFile(f.Path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	padded := append(bytes.Clone(data), bytes.Repeat([]byte("\n"), max(0, int(info.Size())-len(data)))...)
	f.before("write in place")
	if _, err := file.WriteAt(padded, 0); err != nil {
		return err
	}
	f.before("cut in place")
	if err := file.Truncate(int64(len(data))); err != nil {
		return err
	}
	return file.Sync()
}

// keep makes the file stand under another name too, which must be free.
func (f *File) keep(name string, what *target, r *Result) error {
	r.say("what was there is kept in %s", name)
	f.before("keep the old file")
	err := os.Link(f.Path, name)
	switch {
	case err == nil:
		return syncDir(f.Path)
	case what.link != "":
		return fmt.Errorf("keep the link: %w", err)
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EMLINK), errors.Is(err, unix.ENOSYS):
		return f.copyTo(name, what)
	}
	return err
}

// copyTo keeps a copy, where the file cannot have a second name.
func (f *File) copyTo(name string, what *target) error {
	temporary := f.Path + ".strata-copy"
	f.before("copy the old file")
	err := writeNew(temporary, what.content, what, f.Path)
	if err == nil {
		f.before("name the copy")
		err = os.NewSyscallError("renameat2", unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, name, unix.RENAME_NOREPLACE))
	}
	if err != nil {
		_ = os.Remove(temporary)
		return err
	}
	return syncDir(f.Path)
}

// remove removes a file that may not be there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir has the names in a file's directory survive a crash.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, unix.EINVAL) { // of some file systems
		err = nil
	}
	return errors.Join(err, dir.Close())
}
