package resolvconf

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	insideVariable = "STRATA_TEST_NAMESPACE" // set: this process has a mount namespace of its own
	doVariable     = "STRATA_TEST_DO"        // write, link (write over a link) or restore the file of the next
	fileVariable   = "STRATA_TEST_FILE"
	stepVariable   = "STRATA_TEST_STEP" // before which step to die
)

// The tests mount: they run in a mount namespace of their own, as a child of what
// was started. Where that is not permitted, those that mount are skipped.
func TestMain(m *testing.M) {
	if os.Getenv(doVariable) != "" {
		os.Exit(die())
	}
	if os.Getenv(insideVariable) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(ended.ExitCode())
	case err != nil:
		os.Exit(m.Run())
	}
}

// die does what it is told, and is killed before a step of it. Status 3: there are
// not so many steps.
func die() int {
	last, _ := strconv.Atoi(os.Getenv(stepVariable))
	f := File{Path: os.Getenv(fileVariable), step: func(string) {
		if last--; last < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}}
	var err error
	switch os.Getenv(doVariable) {
	case "write":
		_, err = f.Write(wanted, false)
	case "link":
		_, err = f.Write(wanted, true)
	default:
		_, err = f.Restore()
	}
	if err != nil {
		println(err.Error())
		return 1
	}
	return 3
}

// killed runs die, and tells whether it was killed.
func killed(t *testing.T, do, file string, step int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), doVariable+"="+do, fileVariable+"="+file, stepVariable+"="+strconv.Itoa(step))
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		t.Fatalf("%v: %s", err, out)
	}
	if ended.ExitCode() == 1 {
		t.Fatalf("%s", out)
	}
	return ended.ExitCode() == -1
}

// mount mounts for the rest of the test.
func mount(t *testing.T, from, to string, flags uintptr) {
	t.Helper()
	if os.Getenv(insideVariable) == "" {
		t.Skip("a mount namespace of its own is not permitted here")
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(to, 0); err != nil {
			t.Error(err)
		}
	})
	if flags != 0 {
		if err := unix.Mount("", to, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
}
