package kube

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
)

// Weight and priority of SRV records: one's as good as the other's (RFC 2782).
const (
	srvPriority = 0
	srvWeight   = 100
)

// rrsets collects an object's records.
type rrsets struct {
	opts     *Options
	ttl      uint32
	probe    string // of addresses, "": none
	order    []byte // data of ORDER records, nil: none
	at       map[string]int
	all      []store.Record
	problems []string
}

func (o *Options) collect(ttl uint32) *rrsets {
	return &rrsets{opts: o, ttl: ttl, at: map[string]int{}}
}

// problem notes what of an object has no place in DNS; the rest is served.
func (r *rrsets) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.problems, text) {
		r.problems = append(r.problems, text)
	}
}

func (r *rrsets) add(name []byte, typ uint16, rdata []byte) {
	if !r.opts.holds(name) {
		return
	}
	key := rrsetKey(name, typ)
	i, ok := r.at[key]
	if !ok {
		i = len(r.all)
		r.at[key] = i
		rec := store.Record{Name: name, Type: typ, TTL: r.ttl}
		if typ == dns.TypeA || typ == dns.TypeAAAA {
			rec.Probe = r.probe
		}
		r.all = append(r.all, rec)
	}
	r.all[i].Data = append(r.all[i].Data, rdata)
}

func (r *rrsets) addAddress(name []byte, addr netip.Addr) {
	typ := dns.TypeAAAA
	if addr.Is4() {
		typ = dns.TypeA
	}
	r.add(name, typ, addr.AsSlice())
}

func (r *rrsets) addPTR(addr netip.Addr, target []byte) { r.add(reverse(addr), dns.TypePTR, target) }

// addService adds the SRV record of a named port, _PORT._PROTOCOL below base.
func (r *rrsets) addService(base []byte, port, protocol string, number int32, target []byte) {
	if port == "" {
		return // unnamed ports have none (2.3.2, 2.4.2)
	}
	if protocol == "" {
		protocol = "TCP" // Kubernetes' default
	}
	if err := hostLabel(port); err != nil {
		r.problem("port %v", err)
		return
	}
	if number < 1 || number > 65535 {
		r.problem("port %s: %d is not a port's number", port, number)
		return
	}
	name, err := below(base, "_"+port, "_"+protocol)
	if err != nil {
		r.problem("port %s: %v", port, err)
		return
	}
	rdata := make([]byte, 0, 6+len(target))
	for _, v := range []uint16{srvPriority, srvWeight, uint16(number)} {
		rdata = binary.BigEndian.AppendUint16(rdata, v)
	}
	r.add(name, dns.TypeSRV, append(rdata, target...))
}

// done gives the RRsets, each one's data sorted and without doubles.
func (r *rrsets) done() ([]store.Record, []string) {
	for i := range r.all {
		data := r.all[i].Data
		slices.SortFunc(data, bytes.Compare)
		r.all[i].Data = slices.CompactFunc(data, bytes.Equal)
	}
	r.putInOrder()
	return r.all, r.problems
}

// rrsetKey tells RRsets apart: their name and type.
func rrsetKey(name []byte, typ uint16) string {
	return string(binary.BigEndian.AppendUint16(name[:len(name):len(name)], typ))
}

func splitKey(key string) (name []byte, typ uint16) {
	cut := len(key) - 2
	return []byte(key[:cut]), binary.BigEndian.Uint16([]byte(key[cut:]))
}
