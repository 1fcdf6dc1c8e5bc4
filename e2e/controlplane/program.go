package controlplane

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoProgram is that e2e/kube/build has not been run, or could not.
var ErrNoProgram = errors.New("no Kubernetes to test with")

// Program finds the program below the root of the checkout. The error says why it is
// not there.
func Program(root string) (string, error) {
	sums, err := os.ReadFile(filepath.Join(root, "e2e/kube/go.sum"))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoProgram, err)
	}
	dir := filepath.Join(root, ".cache/kube", fmt.Sprintf("%x", sha256.Sum256(sums))[:16])
	path, err := filepath.Abs(filepath.Join(dir, "kube"))
	if err != nil {
		return "", fmt.Errorf("find %s: %w", dir, err)
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	why, err := os.ReadFile(filepath.Join(dir, "why"))
	if err != nil {
		return "", fmt.Errorf("%w: make deps builds it", ErrNoProgram)
	}
	lines := strings.Split(strings.TrimSpace(string(why)), "\n")
	return "", fmt.Errorf("%w: make deps could not build it: %s", ErrNoProgram, lines[len(lines)-1])
}
