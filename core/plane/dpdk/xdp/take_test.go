package xdp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attach does what DPDK's driver does: it keeps the program's files open.
func attach(t *testing.T, name string) *ebpf.Collection {
	t.Helper()
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetXdpFdWithFlags(l, c.Programs[programName].FD(), 1) // XDP_FLAGS_UPDATE_IF_NOEXIST
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// attached is the number of the program that an interface has.
func attached(t *testing.T, name string) uint32 {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if x := l.Attrs().Xdp; x != nil {
		return x.ProgId
	}
	return 0
}

// TestShare follows an interface from Take to Close: the kernel's addresses come and go
// meanwhile.
func TestShare(t *testing.T) {
	name := newLink(t)
	ip(t, "addr add 10.0.0.53/24 dev "+name)
	log, _ := newLog()
	i, err := Take(name, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Steer(ourMAC, []netip.Addr{shared4}, 53); err == nil || !strings.Contains(err.Error(), "no program is attached") {
		t.Errorf("without a program: %v", err)
	}
	c := attach(t, name)
	if err := i.Steer(ourMAC, []netip.Addr{shared4, sole6}, 5300); err != nil {
		t.Fatal(err)
	}
	var s settings
	if err := c.Maps[settingsName].Lookup(uint32(0), &s); err != nil || s != (settings{[6]byte(ourMAC), [2]byte{0x14, 0xb4}}) {
		t.Errorf("%+v, %v", s, err)
	}
	takes := func(a netip.Addr, want uint32) {
		t.Helper()
		var got uint32
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if err := c.Maps[addressesName].Lookup(a.As16(), &got); err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
		}
		t.Errorf("%s: takes %d, want %d", a, got, want)
	}
	takes(shared4, queries)
	takes(sole6, queries|presence)
	ip(t, "addr add fd53::54/64 dev lo nodad")
	takes(sole6, queries)
	ip(t, "addr del 10.0.0.53/24 dev "+name)
	takes(shared4, queries|presence)
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	if n := attached(t, name); n != 0 {
		t.Errorf("program %d is left", n)
	}
}

// TestTaken: two of our kind cannot have one interface.
func TestTaken(t *testing.T) {
	name := newLink(t)
	log, _ := newLog()
	i, err := Take(name, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(name, log); err == nil || err.Error() != "interface xdp0: another process of ours serves it" {
		t.Errorf("a second time: %v", err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Take(name, log)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestLeftBehind: a dead process's program is removed, and that is told.
func TestLeftBehind(t *testing.T) {
	name := newLink(t)
	attach(t, name)
	log, said := newLog()
	i, err := Take(name, log)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if n := attached(t, name); n != 0 {
		t.Errorf("program %d is left", n)
	}
	if !strings.Contains(said.String(), "removed the XDP program") || !strings.Contains(said.String(), "interface=xdp0") {
		t.Errorf("the log: %s", said)
	}
}

// TestAnothers: another's program stays where it is.
func TestAnothers(t *testing.T) {
	name := newLink(t)
	passAll := asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()}
	other, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "theirs", Type: ebpf.XDP, Instructions: passAll, License: "GPL"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetXdpFd(l, other.FD())
	}
	if err != nil {
		t.Fatal(err)
	}
	log, _ := newLog()
	_, err = Take(name, log)
	if err == nil || !strings.Contains(err.Error(), `another has attached an XDP program, number `) || !strings.Contains(err.Error(), `"theirs"`) || !strings.Contains(err.Error(), "ip link set dev xdp0 xdp off") {
		t.Errorf("%v", err)
	}
	if attached(t, name) == 0 {
		t.Error("another's program was removed")
	}
}

// TestRefused: what cannot be is one clear error.
func TestRefused(t *testing.T) {
	name := newLink(t)
	log, _ := newLog()
	if _, err := Take("nosuch0", log); err == nil || err.Error() != "interface nosuch0: Link not found" {
		t.Errorf("%v", err)
	}
	// A veth takes no program while its peer sends longer frames than a page holds.
	ip(t, "link set xdp1 mtu 9000")
	i, err := Take(name, log)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if err := i.Explain(); err == nil || !strings.HasPrefix(err.Error(), "interface xdp0: attach the program: the MTU (of a veth: its peer's) is too large for XDP: ") {
		t.Errorf("%v", err)
	}
	ip(t, "link set xdp1 mtu 1500")
	if err := i.Explain(); err != nil {
		t.Error(err)
	}
}

// TestLacks names the capabilities that a process has not got.
func TestLacks(t *testing.T) {
	const all = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_BPF
	for _, c := range []struct {
		has  uint64
		want string
	}{
		{all, ""},
		{all&^(1<<unix.CAP_BPF) | 1<<unix.CAP_SYS_ADMIN, ""},
		{all &^ (1 << unix.CAP_BPF), "CAP_BPF"},
		{1 << unix.CAP_SYS_ADMIN, "CAP_NET_ADMIN, CAP_NET_RAW"},
		{0, "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF"},
	} {
		switch err := lacks(c.has); {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), "lacks "+c.want)):
			t.Errorf("%x: %v, want %q", c.has, err, c.want)
		}
	}
}
