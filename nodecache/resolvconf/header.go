package resolvconf

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"regexp"
)

// A file that was written here says so in its first line, with a digest of the rest:
// so it is known when somebody else has changed it since.
const header = "# Written by nodecache resolv-conf (%s). %s\n"

var headerLine = regexp.MustCompile(`^# Written by nodecache resolv-conf \(([0-9a-f]{16})\)\. ([^\n]*)\n`)

const (
	hadFile = "What was here before is in %s: --restore puts it back."
	noFile  = "There was no file before."
)

// digest does not see blank lines at the end: they may be left of a longer file.
func digest(body []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(bytes.TrimRight(body, "\n")))[:16]
}

// seal puts the first line before a body. backup is where the old file is, "" where
// there was none.
func seal(body []byte, backup string) []byte {
	remark := noFile
	if backup != "" {
		remark = fmt.Sprintf(hadFile, backup)
	}
	return append(fmt.Appendf(nil, header, digest(body), remark), body...)
}

// A sealed file is one with the first line.
type sealed struct {
	ours   bool // it has the line
	intact bool // and nobody has changed it
	fresh  bool // there was no file before
	body   []byte
}

func unseal(file []byte) sealed {
	m := headerLine.FindSubmatch(file)
	if m == nil {
		return sealed{body: file}
	}
	s := sealed{ours: true, fresh: string(m[2]) == noFile, body: file[len(m[0]):]}
	s.intact = digest(s.body) == string(m[1])
	return s
}

// unseal is that of a file; a link is somebody else's, whatever it leads to.
func (t *target) unseal() sealed {
	s := unseal(t.content)
	if t.link != "" {
		s.ours, s.intact, s.fresh = false, false, false
	}
	return s
}
