package resolvconf

import (
	"fmt"
	"path/filepath"
)

// maxKept is how many files of others are kept beside the first.
const maxKept = 99

// place finds the name to keep what is there under, from the first on: the very first
// file has the plain name, what others wrote over ours since has numbers. It is ""
// where it is kept already.
func (f *File) place(now *target, first int) (name string, err error) {
	for n := first; n <= maxKept; n++ {
		name = f.Backup()
		if n > 0 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		old, err := inspect(name)
		switch {
		case err != nil:
			return "", err
		case !old.exists:
			return name, nil
		case now.same(&old):
			return "", nil
		}
	}
	return "", fmt.Errorf("%d files of others are kept already: remove those not needed, %s.*", maxKept, f.Backup())
}

// keptAs is what the first line of the new file calls the old one.
func (f *File) keptAs(had bool) string {
	if !had {
		return ""
	}
	return filepath.Base(f.Backup())
}
