package world

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Denial is how a signed zone proves what is not there.
type Denial string

// Those there are. OptOut leaves delegations without DS out of the chain (RFC 5155 §6).
const (
	NSEC   Denial = "NSEC"
	NSEC3  Denial = "NSEC3"
	OptOut Denial = "NSEC3 with opt-out"
)

// Tools are the programs that Sign runs.
var Tools = []string{"dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey"}

// A Signed is a signed zone's file and what its parent says of it.
type Signed struct {
	File string
	DS   string // record, as in a master file
}

// Sign signs a zone, given as a master file's text, in a folder. more are further
// arguments of dnssec-signzone.
func Sign(dir, apex, text string, denial Denial, more ...string) (s Signed, err error) {
	file := filepath.Join(dir, cmp.Or(strings.Trim(apex, "."), "root")+".zone")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return s, err
	}
	key, err := run(dir, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", dir, apex)
	if err != nil {
		return s, err
	}
	key = strings.TrimSpace(key)
	if s.DS, err = run(dir, "dnssec-dsfromkey", "-2", key+".key"); err != nil {
		return s, err
	}
	s.File = file + ".signed"
	args := append([]string{"-q", "-z", "-S", "-K", dir, "-d", dir, "-o", apex, "-f", s.File}, more...)
	switch denial {
	case NSEC3:
		args = append(args, "-3", "-")
	case OptOut:
		args = append(args, "-3", "a5", "-H", "3", "-A")
	}
	_, err = run(dir, "dnssec-signzone", append(args, file)...)
	return s, err
}

func run(dir, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, exit.Stderr)
		}
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return string(out), nil
}
