package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// SkyDNSOwner is the owner of all that is read in SkyDNS's layout: nobody but
// external-dns and its like writes it, and they keep their owners to themselves.
const SkyDNSOwner = "external-dns"

// A SkyDNS is a folder of etcd with records in SkyDNS's layout, as external-dns'
// provider coredns writes it and CoreDNS' plugin etcd reads it: a name's labels from
// the root, and mostly one more that only tells values of a name apart,
//
//	/skydns/com/example/www/3f2a1b4c   {"host":"10.0.0.1","ttl":60,"targetstrip":1}
//
// It is read only; nothing here writes it.
type SkyDNS struct {
	Prefix string   // "/skydns"
	Zones  [][]byte // wire form, lower-cased; what is in none of them is somebody else's. Empty: all is read
}

// What is missing in a value, as CoreDNS has it.
const (
	skyTTL      = 300 // seconds
	skyPriority = 10
	skyWeight   = 100
)

// ErrSkyDNS is a key or value in SkyDNS's layout that makes no record.
var ErrSkyDNS = errors.New("not a record in SkyDNS's layout")

// A skyValue is what stands behind a key. Fields it doesn't know are let pass:
// external-dns writes some of its own. Groups don't matter: values of one name are
// all answered.
type skyValue struct {
	Host        string `json:"host"`
	Port        int64  `json:"port"`
	Priority    int64  `json:"priority"`
	Weight      int64  `json:"weight"`
	Text        string `json:"text"`
	Mail        bool   `json:"mail"`
	TTL         int64  `json:"ttl"`
	TargetStrip int64  `json:"targetstrip"`
}

// A skyPart is what one key adds to one RRset.
type skyPart struct {
	typ   uint16
	ttl   uint32
	rdata []byte
}

// holds reports whether a name is in one of the zones.
func (s *SkyDNS) holds(name []byte) bool {
	for _, zone := range s.Zones {
		if wire.IsSubdomain(name, zone) {
			return true
		}
	}
	return len(s.Zones) == 0
}

// keyRange is the range of the folder's keys.
func (s *SkyDNS) keyRange() (start, end string) {
	p := []byte("/" + strings.Trim(s.Prefix, "/") + "/")
	start = string(p)
	p[len(p)-1]++
	return start, string(p)
}

// keyName gives the labels of a key as a name: lower-cased wire form.
func (s *SkyDNS) keyName(key string) ([]byte, error) {
	start, _ := s.keyRange()
	rest, ok := strings.CutPrefix(key, start)
	if !ok {
		return nil, fmt.Errorf("%w: the key is not below %s", ErrSkyDNS, start)
	}
	labels := strings.Split(rest, "/")
	var name []byte
	for i := len(labels) - 1; i >= 0; i-- {
		switch label := labels[i]; {
		case label == "" || len(label) > maxLabel:
			return nil, fmt.Errorf("%w: label of %d octets in the key", ErrSkyDNS, len(label))
		case strings.Contains(label, "."):
			return nil, fmt.Errorf("%w: label %q of the key has a dot", ErrSkyDNS, label)
		default:
			name = append(append(name, byte(len(label))), label...)
		}
	}
	if name = append(name, 0); len(name) > wire.MaxName {
		return nil, fmt.Errorf("%w: %w", ErrSkyDNS, wire.ErrNameLong)
	}
	wire.Fold(name)
	return name, nil
}

// parse gives the name that a key and its value are about, and what they say of it.
// With an error in the value comes the key's own name.
func (s *SkyDNS) parse(key string, raw []byte) (name []byte, parts []skyPart, err error) {
	if name, err = s.keyName(key); err != nil {
		return nil, nil, err
	}
	var v skyValue
	if err := json.Unmarshal(raw, &v); err != nil {
		return name, nil, fmt.Errorf("%w: %w", ErrSkyDNS, err)
	}
	if err := v.check(); err != nil {
		return name, nil, err
	}
	for range v.TargetStrip {
		if name[0] == 0 {
			return nil, nil, fmt.Errorf("%w: targetstrip %d leaves nothing of the key", ErrSkyDNS, v.TargetStrip)
		}
		name = name[1+int(name[0]):]
	}
	parts, err = v.parts(name)
	return name, parts, err
}

// check finds numbers that are not DNS's.
func (v *skyValue) check() error {
	for _, field := range []struct {
		name        string
		value, most int64
	}{
		{"port", v.Port, 65535}, {"priority", v.Priority, 65535}, {"weight", v.Weight, 65535},
		{"ttl", v.TTL, MaxTTL}, {"targetstrip", v.TargetStrip, wire.MaxLabels},
	} {
		if field.value < 0 || field.value > field.most {
			return fmt.Errorf("%w: %s %d is not in 0..%d", ErrSkyDNS, field.name, field.value, field.most)
		}
	}
	if v.Host == "" && v.Text == "" {
		return fmt.Errorf("%w: neither host nor text", ErrSkyDNS)
	}
	return nil
}

// parts gives what the value says of its name.
func (v *skyValue) parts(name []byte) (parts []skyPart, err error) {
	ttl := uint32(skyTTL)
	if v.TTL > 0 {
		ttl = uint32(v.TTL)
	}
	add := func(typ uint16, rdata []byte) { parts = append(parts, skyPart{typ, ttl, rdata}) }
	if v.Host != "" {
		if err := v.hostParts(name, add); err != nil {
			return nil, err
		}
	}
	if v.Text != "" {
		rdata := textRdata(v.Text)
		if len(rdata) > 65535 {
			return nil, fmt.Errorf("%w: text of %d octets", ErrSkyDNS, len(v.Text))
		}
		add(dns.TypeTXT, rdata)
	}
	return parts, nil
}

// hostParts reads host: an address; a name; or, as external-dns writes SRV and MX,
// their whole data.
func (v *skyValue) hostParts(name []byte, add func(uint16, []byte)) error {
	if addr, err := netip.ParseAddr(v.Host); err == nil {
		if addr = addr.Unmap(); addr.Zone() != "" {
			return fmt.Errorf("%w: host %q has a zone", ErrSkyDNS, v.Host)
		}
		if addr.Is4() {
			add(dns.TypeA, addr.AsSlice())
		} else {
			add(dns.TypeAAAA, addr.AsSlice())
		}
		v.offer(name, add)
		return nil
	}
	fields := strings.Fields(v.Host)
	if typ := map[int]uint16{4: dns.TypeSRV, 2: dns.TypeMX}[len(fields)]; typ != 0 {
		rdata, err := numbered(fields)
		if err != nil {
			return fmt.Errorf("%w: host %q: %w", ErrSkyDNS, v.Host, err)
		}
		add(typ, rdata)
		return nil
	}
	target, err := wire.ParseName(v.Host)
	if err != nil || len(target) == 1 || len(fields) != 1 {
		return fmt.Errorf("%w: host %q is neither an address nor a name", ErrSkyDNS, v.Host)
	}
	switch {
	case v.offer(target, add):
	case reverse(name):
		add(dns.TypePTR, target)
	default:
		add(dns.TypeCNAME, target)
	}
	return nil
}

// offer adds SRV where there is a port, MX where the value is for mail, and says
// whether it did.
func (v *skyValue) offer(target []byte, add func(uint16, []byte)) (offered bool) {
	priority, weight := uint16(skyPriority), uint16(skyWeight)
	if v.Priority > 0 {
		priority = uint16(v.Priority)
	}
	if v.Weight > 0 {
		weight = uint16(v.Weight)
	}
	if v.Port > 0 {
		rdata := binary.BigEndian.AppendUint16(nil, priority)
		rdata = binary.BigEndian.AppendUint16(rdata, weight)
		rdata = binary.BigEndian.AppendUint16(rdata, uint16(v.Port))
		add(dns.TypeSRV, append(rdata, target...))
		offered = true
	}
	if v.Mail {
		add(dns.TypeMX, append(binary.BigEndian.AppendUint16(nil, priority), target...))
		offered = true
	}
	return offered
}

// numbered reads data of 16-bit numbers and a name behind them.
func numbered(fields []string) (rdata []byte, err error) {
	last := len(fields) - 1
	for _, field := range fields[:last] {
		n, err := strconv.ParseUint(field, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is no number in 0..65535", field)
		}
		rdata = binary.BigEndian.AppendUint16(rdata, uint16(n))
	}
	target, err := wire.ParseName(fields[last])
	return append(rdata, target...), err
}

// textRdata cuts a text into strings of at most 255 octets (RFC 1035 §3.3).
func textRdata(text string) (rdata []byte) {
	for {
		n := min(len(text), 255)
		rdata = append(append(rdata, byte(n)), text[:n]...)
		if text = text[n:]; text == "" {
			return rdata
		}
	}
}

var arpa = [][]byte{wire.MustName("in-addr.arpa"), wire.MustName("ip6.arpa")}

// reverse tells names of addresses, which have PTR where others have CNAME.
func reverse(name []byte) bool {
	return wire.IsSubdomain(name, arpa[0]) || wire.IsSubdomain(name, arpa[1])
}
