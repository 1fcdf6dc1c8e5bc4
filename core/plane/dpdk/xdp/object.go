package xdp

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

//go:embed steer.o
var object []byte

// Names in the object.
const (
	programName   = "strata_dns"
	settingsName  = "settings"
	addressesName = "addresses"
)

// Queues is how many queues of an interface the program can serve, and Addresses how many
// addresses: sizes of its maps.
const (
	Queues    = 256
	Addresses = 1024
)

// objectFile is the program in a file that has no name, for who wants a path.
func objectFile() (*os.File, error) {
	fd, err := unix.MemfdCreate(programName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), programName)
	if _, err := f.Write(object); err != nil {
		f.Close()
		return nil, fmt.Errorf("write the program: %w", err)
	}
	return f, nil
}

// load is the program with its maps, in the kernel.
func load() (*ebpf.Collection, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("read the program: %w", err)
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the program: %w", err)
	}
	return c, nil
}

// try attaches the program for a moment, and says what is against it.
func try(index int) error {
	c, err := load()
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := link.AttachXDP(link.XDPOptions{Program: c.Programs[programName], Interface: index})
	if errors.Is(err, unix.ERANGE) {
		return fmt.Errorf("attach the program: the MTU (of a veth: its peer's) is too large for XDP: %w", err)
	} else if err != nil {
		return fmt.Errorf("attach the program: %w", err)
	}
	return l.Close()
}
