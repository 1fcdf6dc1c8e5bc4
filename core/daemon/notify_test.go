package daemon

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// systemd hears of readiness, of reloads, of the watchdog while all tasks move,
// and of the end.
func TestServiceManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.sock")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	os.Unsetenv("WATCHDOG_PID")
	next := func() string {
		t.Helper()
		buf := make([]byte, 4096)
		manager.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	hear := func(want string) {
		t.Helper()
		for range 1000 {
			if strings.HasPrefix(next(), want) {
				return
			}
		}
		t.Fatalf("never heard %q", want)
	}

	d, j := testDaemon(t), new(journal)
	store := newPart("store", j)
	store.ready.Store(false)
	store.reason = "away"
	d.Add(store)
	d.OnReload(func(context.Context) error { return nil })
	end := begin(t, d)
	hear("EXTEND_TIMEOUT_USEC=15000000\nSTATUS=waiting for store: away")
	store.ready.Store(true)
	hear("READY=1\nSTATUS=ready")
	hear("WATCHDOG=1")
	d.signals <- syscall.SIGHUP
	hear("RELOADING=1\nMONOTONIC_USEC=")
	hear("READY=1")
	go func() { _ = end() }()
	hear("STOPPING=1")
	if err := end(); err != nil {
		t.Error(err)
	}
}

// The watchdog is left to bite when a task no longer moves.
func TestWatchdogStarves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.sock")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "2000")
	d, j := testDaemon(t), new(journal)
	store := newPart("store", j)
	store.stuck.Store(true)
	d.Add(store)
	end := begin(t, d)
	// READY comes with the first look, some twenty feeding times later.
	var heard []string
	buf := make([]byte, 4096)
	for len(heard) == 0 || !strings.HasPrefix(heard[len(heard)-1], "READY=1") {
		manager.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, string(buf[:n]))
	}
	for _, message := range heard {
		if strings.Contains(message, "WATCHDOG") {
			t.Errorf("fed: %q", heard)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
