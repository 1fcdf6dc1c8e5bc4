package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// socket makes the socket for a check. An echo goes by an unprivileged one
// (net.ipv4.ping_group_range), or where that is not to be had by a raw one.
func socket(t Target) (fd int, raw bool, err error) {
	const how = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	family, echo := unix.AF_INET6, unix.IPPROTO_ICMPV6
	if t.Address.Is4() {
		family, echo = unix.AF_INET, unix.IPPROTO_ICMP
	}
	switch t.Check.Kind {
	case TCP, HTTP:
		fd, err = unix.Socket(family, unix.SOCK_STREAM|how, 0)
	case UDP:
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|how, 0)
	default:
		if fd, err = unix.Socket(family, unix.SOCK_DGRAM|how, echo); err != nil {
			raw = true
			fd, err = unix.Socket(family, unix.SOCK_RAW|how, echo)
		}
	}
	return fd, raw, err
}

func sockaddr(t Target) unix.Sockaddr {
	if t.Address.Is4() {
		return &unix.SockaddrInet4{Port: int(t.Check.Port), Addr: t.Address.As4()}
	}
	return &unix.SockaddrInet6{Port: int(t.Check.Port), Addr: t.Address.As16()}
}

// dnsQuestion asks for the root's name servers: what listens on port 53 answers to
// that, if only to refuse it.
var dnsQuestion = []byte{0x73, 0x74, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}

// send sends what an answer is expected to.
func (a *attempt) send() error {
	var b []byte
	switch c := a.target.Check; c.Kind {
	case UDP:
		if b = []byte{'\n'}; c.Port == 53 {
			b = dnsQuestion
		}
	case ICMP:
		b = a.echo()
	default:
		b = request(a.target)
	}
	_, err := unix.Write(a.fd, b)
	return err
}

// read takes what has come; nothing at a connection's end.
func (a *attempt) read() ([]byte, error) {
	b := make([]byte, 512)
	n, err := unix.Read(a.fd, b)
	if err != nil {
		return nil, verdict("read", err)
	}
	return b[:max(n, 0)], nil
}

func request(t Target) []byte {
	host := netip.AddrPortFrom(t.Address, t.Check.Port).String()
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: strata-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n", t.Check.Path, host)
}

// statusLine is the most that is read before the status must be there: the version,
// a blank and three digits (RFC 9112 §4).
const statusLine = len("HTTP/1.1 200")

// status reads an answer as far as it has come: over when its status is known,
// with an error for all but 200 to 399. ended: no more comes.
func status(b []byte, ended bool) (over bool, err error) {
	if len(b) < statusLine {
		if ended {
			return true, errors.New("the connection ended before a status")
		}
		return false, nil
	}
	code, err := strconv.ParseUint(string(b[9:statusLine]), 10, 16)
	if !bytes.HasPrefix(b, []byte("HTTP/1.")) || b[7] < '0' || b[7] > '9' || b[8] != ' ' || err != nil || b[9] < '1' || b[9] > '9' {
		return true, fmt.Errorf("%q is no answer of HTTP", b[:statusLine])
	}
	if code < 200 || code > 399 {
		return true, fmt.Errorf("status %d", code)
	}
	return true, nil
}

// echo is an echo request (RFC 792, RFC 4443 §4.1); the kernel knows the checksum
// of IPv6's, and the identifier where the socket is not raw.
func (a *attempt) echo() []byte {
	b := make([]byte, 8, 16)
	b[0] = 128
	if a.target.Address.Is4() {
		b[0] = 8
	}
	binary.BigEndian.PutUint16(b[4:], uint16(a.fd))
	binary.BigEndian.PutUint16(b[6:], a.id)
	b = append(b, "strata\r\n"...)
	if a.target.Address.Is4() {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// echoed tells whether an ICMP message answers this attempt's. A raw socket of IPv4
// hears the IP header, too.
func (a *attempt) echoed(b []byte) bool {
	reply := byte(129)
	if a.target.Address.Is4() {
		reply = 0
		if a.raw {
			if len(b) < 20 || len(b) < int(b[0]&15)*4 {
				return false
			}
			b = b[int(b[0]&15)*4:]
		}
	}
	if len(b) < 8 || b[0] != reply || b[1] != 0 || binary.BigEndian.Uint16(b[6:]) != a.id {
		return false
	}
	return !a.raw || binary.BigEndian.Uint16(b[4:]) == uint16(a.fd)
}

// checksum is the Internet's (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
