package controlplane

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where there is no program the error says why: never built, or could not be.
func TestProgram(t *testing.T) {
	root := t.TempDir()
	if _, err := Program(root); !errors.Is(err, ErrNoProgram) {
		t.Error(err)
	}
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const dir = ".cache/kube/2c26b46b68ffc68f/" // sha256sum of "foo", as e2e/kube/build has it
	write("e2e/kube/go.sum", "foo")
	if _, err := Program(root); !errors.Is(err, ErrNoProgram) || !strings.HasSuffix(err.Error(), "make deps builds it") {
		t.Error(err)
	}
	write(dir+"why", "go: downloading\ndial tcp: no route to host\n")
	if _, err := Program(root); !errors.Is(err, ErrNoProgram) || !strings.HasSuffix(err.Error(), ": dial tcp: no route to host") {
		t.Error(err)
	}
	write(dir+"kube", "")
	if path, err := Program(root); err != nil || path != filepath.Join(root, dir, "kube") {
		t.Errorf("%q, %v", path, err)
	}
}
