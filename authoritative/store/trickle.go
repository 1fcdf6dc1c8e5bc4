package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// trickled is how much of a snapshot goes to the disk at a time, octets.
const trickled = 1 << 20

// A trickle writes a file on, from an offset, and has it go to the disk in pieces. Were all of it
// left to the Sync at the end, whoever else has something written meanwhile would wait until a
// hundred MiB are: etcd its log's records, if it is on the same disk, and so each change.
type trickle struct {
	file     *os.File
	from, to int64 // written, and not yet on its way to the disk
	under    int64 // octets before from that are on their way
}

func (t *trickle) Write(b []byte) (int, error) {
	n, err := t.file.Write(b)
	if t.to += int64(n); t.to-t.from >= trickled {
		t.push()
	}
	return n, err
}

// push waits for the piece that is under way and sends the next. Whether they get there, Sync
// is to say: it looks at all of the file.
func (t *trickle) push() {
	fd := int(t.file.Fd())
	if t.under > 0 {
		_ = unix.SyncFileRange(fd, t.from-t.under, t.under, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}
	_ = unix.SyncFileRange(fd, t.from, t.to-t.from, unix.SYNC_FILE_RANGE_WRITE)
	t.under, t.from = t.to-t.from, t.to
}
