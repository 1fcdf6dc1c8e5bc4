package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
)

// ErrUnable is what [New] fails with where hosts cannot be made: a reason to skip.
var ErrUnable = errors.New("no hosts here")

// A Network is some sites and what joins them. Its parts are made one after the
// other, and all end with Close.
type Network struct {
	mu     sync.Mutex
	sites  []*Site
	hosts  []*Host
	links  []*Link
	lines  []*space
	closed bool
}

// New makes an empty network. The error is [ErrUnable] with what lacks.
func New() (*Network, error) {
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w: %w (make deps installs it)", ErrUnable, err)
		}
	}
	s, err := newSpace()
	if err != nil {
		return nil, err
	}
	s.close()
	return &Network{}, nil
}

// Close ends everything: processes that still run inside are killed.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.closed = true
	for _, l := range n.links {
		l.mu.Lock()
		l.unrelay()
		l.mu.Unlock()
	}
	for _, h := range n.hosts {
		h.space.close()
	}
	for _, s := range n.sites {
		s.space.close()
	}
	for _, s := range n.lines {
		s.close()
	}
}

// A Site is a switch with a router: hosts in it reach each other, and through
// lines other sites.
type Site struct {
	Name string

	net    *Network
	prefix netip.Prefix
	router netip.Addr // the prefix's first address
	space  *space
	ports  int
	joined int // lines
}

// bridge are the commands that make a switch. It has an address of its own: else it
// takes the least of its ports', and hosts that know the router by another one lose it
// for half a minute when a port is added.
var bridge = []string{
	"link add br0 address 02:00:00:00:00:01 type bridge forward_delay 0",
	"link set br0 up",
}

// Site adds a site with a prefix of its own, such as 10.1.0.0/16. Its router has
// the first address.
func (n *Network) Site(name string, prefix netip.Prefix) (*Site, error) {
	s, err := newSpace()
	if err != nil {
		return nil, err
	}
	site := &Site{Name: name, net: n, prefix: prefix.Masked(), router: prefix.Masked().Addr().Next(), space: s}
	n.mu.Lock()
	n.sites = append(n.sites, site)
	n.mu.Unlock()
	address := fmt.Sprintf("address add %s/%d dev br0", site.router, prefix.Bits())
	if err := s.ip(append(slices.Clone(bridge), brisk("br0"), address)...); err != nil {
		return nil, fmt.Errorf("make site %s: %w", name, err)
	}
	if err := s.sysctl("ipv4/ip_forward", "1"); err != nil {
		return nil, fmt.Errorf("make site %s: %w", name, err)
	}
	return site, nil
}

// Host adds a host with one or more addresses of the site's prefix; the first is
// what it sends from.
func (s *Site) Host(name string, addresses ...netip.Addr) (*Host, error) {
	own, err := newSpace()
	if err != nil {
		return nil, err
	}
	s.net.mu.Lock()
	s.ports++
	port := fmt.Sprint("p", s.ports)
	h := &Host{Name: name, Address: addresses[0], Link: &Link{space: s.space, port: port, end: own, name: "eth0"}, space: own}
	s.net.hosts, s.net.links = append(s.net.hosts, h), append(s.net.links, h.Link)
	s.net.mu.Unlock()
	if err := s.space.plug(port, own, "eth0"); err != nil {
		return nil, fmt.Errorf("make host %s: %w", name, err)
	}
	lines := []string{brisk("eth0"), "link set eth0 up"}
	for _, a := range addresses {
		lines = append(lines, fmt.Sprintf("address add %s/%d dev eth0", a, s.prefix.Bits()))
	}
	if err := own.ip(append(lines, fmt.Sprintf("route add default via %s", s.router))...); err != nil {
		return nil, fmt.Errorf("make host %s: %w", name, err)
	}
	if err := h.Link.carries(port); err != nil {
		return nil, fmt.Errorf("make host %s: %w", name, err)
	}
	return h, nil
}

// plug joins an interface of another namespace to the bridge of this one.
func (s *space) plug(port string, to *space, name string) error {
	return s.ip(
		fmt.Sprintf("link add %s type veth peer name %s netns %s", port, name, to.path()),
		fmt.Sprintf("link set %s master br0 up", port),
	)
}

// Join lays a line between two sites, of which each then reaches the other's
// hosts. The link is what joins them.
func (n *Network) Join(a, b *Site) (*Link, error) {
	between, err := newSpace()
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.lines = append(n.lines, between)
	line := len(n.lines)
	link := &Link{space: between, port: "p1", end: a.space, name: fmt.Sprint("line", a.joined+1)}
	far := &Link{space: between, port: "p2", end: b.space, name: fmt.Sprint("line", b.joined+1)}
	n.links = append(n.links, link)
	n.mu.Unlock()
	if err := between.ip(bridge...); err != nil {
		return nil, fmt.Errorf("join %s and %s: %w", a.Name, b.Name, err)
	}
	for i, end := range []*Link{link, far} {
		own, other := [2]*Site{a, b}[i], [2]*Site{b, a}[i]
		own.joined++
		err := between.plug(end.port, own.space, end.name)
		if err == nil {
			err = own.space.ip(
				fmt.Sprintf("address add 10.255.%d.%d/30 dev %s", line, i+1, end.name),
				brisk(end.name), fmt.Sprintf("link set %s up", end.name),
				fmt.Sprintf("route add %s via 10.255.%d.%d", other.prefix, line, 2-i),
			)
		}
		if err == nil {
			err = end.carries(end.port)
		}
		if err != nil {
			return nil, fmt.Errorf("join %s and %s: %w", a.Name, b.Name, err)
		}
	}
	return link, nil
}
