package socket

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strata-dns/strata/core/plane"
)

// TestClientOf reads addresses as the kernel writes them.
func TestClientOf(t *testing.T) {
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	var z zones
	for _, c := range []struct {
		family uint16
		addr   string
		scope  uint32
		want   string
	}{
		{unix.AF_INET, "192.0.2.7", 0, "192.0.2.7:4660"},
		{unix.AF_INET6, "2001:db8::7", 0, "[2001:db8::7]:4660"},
		{unix.AF_INET6, "fe80::7", uint32(loopback.Index), "[fe80::7%lo]:4660"},
		{unix.AF_INET6, "fe80::7", 987654, "[fe80::7%987654]:4660"},
		{unix.AF_INET6, "::ffff:192.0.2.7", 0, "192.0.2.7:4660"},
	} {
		var r plane.Return
		binary.NativeEndian.PutUint16(r[:], c.family)
		binary.BigEndian.PutUint16(r[2:], 0x1234)
		at, want := 4, uint32(unix.SizeofSockaddrInet4)
		if c.family == unix.AF_INET6 {
			at, want = 8, unix.SizeofSockaddrInet6
			binary.NativeEndian.PutUint32(r[24:], c.scope)
		}
		copy(r[at:], netip.MustParseAddr(c.addr).AsSlice())
		if got := z.clientOf(&r); got.String() != c.want {
			t.Errorf("%s scope %d: %v, want %s", c.addr, c.scope, got, c.want)
		}
		if got := nameLen(&r); got != want {
			t.Errorf("%s: name of %d octets, want %d", c.addr, got, want)
		}
		if n := testing.AllocsPerRun(100, func() { z.clientOf(&r) }); n != 0 {
			t.Errorf("%s: %v allocations", c.addr, n)
		}
	}
}

// TestScopes puts link-local addresses in and out of the kernel's form.
func TestScopes(t *testing.T) {
	name, err := sockaddr(at("[fe80::1%lo]:53"))
	if v6, ok := name.(*unix.SockaddrInet6); err != nil || !ok || v6.ZoneId == 0 || v6.Port != 53 {
		t.Fatalf("%+v, %v", name, err)
	}
	if scope, err := scopeOf("42"); err != nil || scope != 42 {
		t.Errorf("zone 42: %d, %v", scope, err)
	}
}

// TestZonesBounded keeps forged scopes from filling memory.
func TestZonesBounded(t *testing.T) {
	var z zones
	for scope := range uint32(3 * maxZones) {
		z.name(scope + 1<<20)
	}
	if len(z.names) > maxZones {
		t.Errorf("%d names kept", len(z.names))
	}
}

// FuzzReadLocal: whatever the ancillary data, nothing outside the address is
// touched, and what writeLocal wrote is read.
func FuzzReadLocal(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		var c control
		r := plane.Return{localAt: 127, localAt + 3: 1}
		if v6 {
			copy(r[localAt:], netip.MustParseAddr("fe80::1").AsSlice())
			r[localIfAt] = 3
		}
		n := c.writeLocal(&r, v6)
		if v6 {
			var back plane.Return
			readLocal(c.octets[:n], &back)
			if back != r {
				f.Fatalf("wrote %v, read %v", r, back)
			}
		}
		f.Add(c.octets[:n])
		f.Add(c.octets[:c.writeSegment(n, 100)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// Copied to where a struct cmsghdr may stand.
		var c control
		n := copy(c.octets[:], data)
		var r plane.Return
		for i := range r {
			r[i] = 0xaa
		}
		readLocal(c.octets[:n], &r)
		for i, b := range r {
			if (i < localAt || i >= returnUsed) && b != 0xaa {
				t.Fatalf("octet %d of the way back was written", i)
			}
		}
	})
}
