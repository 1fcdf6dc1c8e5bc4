package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// A health snapshot is a line "strata health 1 CRC" with the CRC-32C, in eight
// digits, of what follows: a JSON array of keys and values as etcd has them.
const healthMagic = "strata health 1 "

type healthLine struct {
	Address netip.Addr `json:"address"`
	State   string     `json:"state"`
	Since   time.Time  `json:"since,omitzero"`
	By      string     `json:"by,omitempty"`
}

// WriteHealthSnapshot writes what is known of addresses to a file, as WriteSnapshot
// does with records: the file there is the old one or the new one.
func WriteHealthSnapshot(path string, all []Health) error {
	lines := make([]healthLine, 0, len(all))
	for _, h := range all {
		lines = append(lines, healthLine{h.Address, h.State.String(), h.Since, h.By})
	}
	body, err := json.Marshal(lines)
	if err != nil {
		return fmt.Errorf("write health snapshot: %w", err)
	}
	tmp := path + ".tmp"
	file, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write health snapshot: %w", err)
	}
	_, err = file.Write(fmt.Appendf(nil, "%s%08x\n%s", healthMagic, crc(body), body))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write health snapshot: %w", err)
	}
	return nil
}

// ReadHealthSnapshot reads such a file: all of it is right, or the error is
// ErrSnapshot. A file that is not there is fs.ErrNotExist.
func ReadHealthSnapshot(path string) ([]Health, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read health snapshot: %w", err)
	}
	all, err := parseHealthSnapshot(raw)
	if err != nil {
		return nil, fmt.Errorf("read health snapshot %s: %w", path, err)
	}
	return all, nil
}

func parseHealthSnapshot(raw []byte) ([]Health, error) {
	head, body, _ := bytes.Cut(raw, []byte("\n"))
	if string(head) != fmt.Sprintf("%s%08x", healthMagic, crc(body)) {
		return nil, fmt.Errorf("%w: it is damaged, or of another kind", ErrSnapshot)
	}
	var lines []healthLine
	if err := json.Unmarshal(body, &lines); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	var all []Health
	for _, line := range lines {
		h := Health{Address: line.Address, Since: line.Since, By: line.By}
		switch line.State {
		case "up":
			h.State = Up
		case "down":
			h.State = Down
		default:
			return nil, fmt.Errorf("%w: state %q", ErrSnapshot, line.State)
		}
		if !h.Address.IsValid() {
			return nil, fmt.Errorf("%w: a state of no address", ErrSnapshot)
		}
		all = append(all, h)
	}
	return all, nil
}
