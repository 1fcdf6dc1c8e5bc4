package daemon

import (
	"context"
	"fmt"
	"os"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// What systemd is told (sd_notify(3)).
const (
	ready    = systemd.SdNotifyReady
	stopping = systemd.SdNotifyStopping
	watchdog = systemd.SdNotifyWatchdog
)

// Start-up is watched every startLook. While the daemon still waits, systemd is
// asked every so often for extension more, so that a server whose store is away
// for an hour is not killed and restarted meanwhile.
const (
	startLook = 20 * time.Millisecond
	extension = 15 * time.Second
)

// reloading is sent before a reload; systemd orders it by the monotonic clock.
func reloading() string {
	return systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec()
}

// notify tells the service manager, if there is one. A failure changes nothing
// for clients, and systemd itself acts on what it does not hear.
func notify(state string) { _, _ = systemd.SdNotify(false, state) }

// stored is the name of the connections that the service manager keeps for the
// next process (FileDescriptorStoreMax=, sd_notify(3)).
const stored = "connection"

// storeConnection gives the service manager a copy of a connection. Where it keeps
// none it closes it, as would we.
func storeConnection(conn *os.File) error {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("store connection: %w", os.NewSyscallError("socket", err))
	}
	defer unix.Close(socket)
	manager := &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}
	if err := unix.Sendmsg(socket, []byte("FDSTORE=1\nFDNAME="+stored), unix.UnixRights(int(conn.Fd())), manager, 0); err != nil {
		return fmt.Errorf("store connection: %w", err)
	}
	return nil
}

// unstore has the service manager let go of the connections it gave us: as long as
// it has them, too, our closing them does not end them.
func unstore() { notify("FDSTOREREMOVE=1\nFDNAME=" + stored) }

// notifyReady says that a reload is over, unless READY was never said.
func (d *Daemon) notifyReady() {
	if d.phase.Load() == running {
		notify(ready)
	}
}

// notifier is the task that tells systemd when the daemon is ready, and feeds
// the watchdog while all tasks move.
type notifier struct {
	daemon *Daemon
	asked  time.Time // when systemd was last asked for more time to start
}

func (n *notifier) Ready() bool    { return true }
func (n *notifier) String() string { return "service manager" }

func (n *notifier) Run(ctx context.Context) error {
	// Fed at half the interval, as sd_watchdog_enabled(3) advises; 0 is off.
	every, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	var fed <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every / 2)
		defer ticker.Stop()
		fed = ticker.C
	}
	look := time.NewTicker(startLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if n.lookReady() {
				look.Stop()
			}
		case <-fed:
			if n.daemon.Alive() {
				notify(watchdog)
			}
		}
	}
}

// lookReady says READY once the daemon is, or asks for more time.
func (n *notifier) lookReady() bool {
	if n.daemon.Ready() {
		notify(ready + "\nSTATUS=ready")
		n.daemon.log.Info("ready", "after", time.Since(n.daemon.started).Round(time.Millisecond))
		return true
	}
	if n.daemon.phase.Load() == running && time.Since(n.asked) > extension/3 {
		n.asked = time.Now()
		notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=waiting for %s", extension.Microseconds(), n.daemon.unready()))
	}
	return false
}
