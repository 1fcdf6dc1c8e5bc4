package xdp

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An Interface is one that this process shares with the kernel.
type Interface struct {
	name  string
	index int
	log   *slog.Logger
	claim int // a socket whose name says that the interface is taken
	file  *os.File

	mu      sync.Mutex
	program ebpf.ProgramID // 0: not attached yet
	addrs   *ebpf.Map
	changes *nl.NetlinkSocket // tells of the kernel's addresses
	ended   atomic.Bool
	watched sync.WaitGroup
}

// Take makes sure that an interface is nobody's, and keeps others of our kind off it until
// Close. A program that one of them has left behind is removed, which the log tells.
func Take(name string, log *slog.Logger) (*Interface, error) {
	i, err := take(name, log)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	return i, nil
}

func take(name string, log *slog.Logger) (_ *Interface, err error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	if err := able(); err != nil {
		return nil, err
	}
	i := &Interface{name: name, index: l.Attrs().Index, log: log}
	if i.claim, err = claim(i.index); err != nil {
		return nil, err
	}
	if err = i.clean(l); err == nil {
		i.file, err = objectFile()
	}
	if err != nil {
		unix.Close(i.claim)
		return nil, err
	}
	return i, nil
}

// Path is where DPDK's driver finds the program: its argument xdp_prog.
func (i *Interface) Path() string { return fmt.Sprintf("/proc/self/fd/%d", i.file.Fd()) }

// Explain tries to attach the program and says what is against it; nil: nothing. It is for
// when the driver has failed, whose log does not tell, and everything is closed.
func (i *Interface) Explain() error {
	if err := try(i.index); err != nil {
		return fmt.Errorf("interface %s: %w", i.name, err)
	}
	return nil
}

// The capabilities that are needed; CAP_SYS_ADMIN stands for CAP_BPF, as before Linux 5.8.
var needed = []struct {
	name   string
	number uint
}{{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}, {"CAP_NET_RAW", unix.CAP_NET_RAW}, {"CAP_BPF", unix.CAP_BPF}}

// able says which capabilities are missing.
func able() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	return lacks(uint64(data[0].Effective) | uint64(data[1].Effective)<<32)
}

func lacks(effective uint64) error {
	has := func(n uint) bool { return effective>>n&1 == 1 }
	var missing []string
	for _, c := range needed {
		if !has(c.number) && !(c.number == unix.CAP_BPF && has(unix.CAP_SYS_ADMIN)) {
			missing = append(missing, c.name)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("to steer queries to the plane this process lacks %s", strings.Join(missing, ", "))
}

// claim keeps the interface as ours with the name of a socket: there can be one of a name
// in a network namespace, and the kernel removes it with the process.
func claim(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@strata-xdp-%d", index)})
	if err == nil {
		return fd, nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.EADDRINUSE) {
		return 0, errors.New("another process of ours serves it")
	}
	return 0, os.NewSyscallError("bind", err)
}

// clean sees whose program is attached. Ours can be a dead process's only: a living one
// would have the claim.
func (i *Interface) clean(l netlink.Link) error {
	x := l.Attrs().Xdp
	if x == nil || !x.Attached {
		return nil
	}
	name, err := programOf(x.ProgId)
	if err != nil || name != programName {
		return fmt.Errorf("another has attached an XDP program, %s; without that (ip link set dev %s xdp off) it can be served", describe(x.ProgId, name, err), i.name)
	}
	if err := detach(l, x); err != nil {
		return fmt.Errorf("remove the program of a process that was killed: %w", err)
	}
	i.log.Warn("removed the XDP program that a process of ours left behind when it was killed", "interface", i.name, "program", x.ProgId)
	return nil
}

func describe(id uint32, name string, err error) string {
	switch {
	case id == 0:
		return "more than one, in fact"
	case err != nil:
		return fmt.Sprintf("number %d, which cannot be looked at: %v", id, err)
	}
	return fmt.Sprintf("number %d, %q", id, name)
}

// programOf asks for a program's name, for which the kernel wants CAP_SYS_ADMIN.
func programOf(id uint32) (string, error) {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return "", err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", err
	}
	return info.Name, nil
}

// Bits of IFLA_XDP_FLAGS, by how a program is attached (linux/if_link.h).
var modes = map[uint32]int{1: 4, 2: 2, 3: 8} // driver, generic, hardware

func detach(l netlink.Link, x *netlink.LinkXdp) error {
	return netlink.LinkSetXdpFdWithFlags(l, -1, modes[x.AttachMode])
}
