package upstream

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ports are the UDP source ports to draw from: what the administrator left for
// outgoing use. We draw them ourselves, from a cryptographic source and from the
// whole range (RFC 5452 §9.2), rather than trust the kernel's choice.
type ports struct {
	low, high uint16
	reserved  map[uint16]bool
}

// readPorts asks the kernel for the range and its reserved ports.
func readPorts() (ports, error) {
	span, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return ports{}, fmt.Errorf("read the range of local ports: %w", err)
	}
	reserved, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	if err != nil && !os.IsNotExist(err) {
		return ports{}, fmt.Errorf("read the reserved local ports: %w", err)
	}
	return parsePorts(string(span), string(reserved))
}

// parsePorts reads "32768 60999" and "8080,9148-9150".
func parsePorts(span, reserved string) (ports, error) {
	p := ports{reserved: map[uint16]bool{}}
	ends := strings.Fields(span)
	if len(ends) != 2 {
		return p, fmt.Errorf("range of local ports %q: want two numbers", span)
	}
	var err error
	if p.low, p.high, err = portSpan(ends[0] + "-" + ends[1]); err != nil {
		return p, fmt.Errorf("range of local ports: %w", err)
	}
	for _, part := range strings.FieldsFunc(reserved, func(r rune) bool { return r == ',' || r <= ' ' }) {
		low, high, err := portSpan(part)
		if err != nil {
			return p, fmt.Errorf("reserved local ports: %w", err)
		}
		for port := int(low); port <= int(high); port++ {
			p.reserved[uint16(port)] = true
		}
	}
	return p, nil
}

func portSpan(s string) (low, high uint16, err error) {
	first, last, many := strings.Cut(s, "-")
	if !many {
		last = first
	}
	a, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("port %q: %w", first, err)
	}
	b, err := strconv.ParseUint(last, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("port %q: %w", last, err)
	}
	if a > b || a == 0 {
		return 0, 0, fmt.Errorf("ports %q: want a first and a last one", s)
	}
	return uint16(a), uint16(b), nil
}

// draw picks a port by lot; 0 where it fell on a reserved one.
func (p ports) draw(lot uint32) uint16 {
	span := uint64(p.high) - uint64(p.low) + 1
	port := p.low + uint16(uint64(lot)*span>>32)
	if p.reserved[port] {
		return 0
	}
	return port
}
