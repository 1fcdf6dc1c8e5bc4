package packets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// A Way is between whom the frames travel.
type Way struct {
	FromMAC, ToMAC net.HardwareAddr
	From, To       netip.Addr // IPv4
	Port           uint16     // that is asked
	Source         uint16     // the first port that asks
	Sources        int        // how many ask: what spreads queries over queues
}

// Where things are in a frame: Ethernet, IPv4 without options, UDP, DNS.
const (
	atIP   = 14
	atUDP  = atIP + 20
	atDNS  = atUDP + 8
	header = 12 // of DNS
)

// A Sequence is the frames of a run, one after another in memory.
type Sequence struct {
	way    Way
	octets []byte
	ends   []uint32
	next   int
	begin  uint32
}

// A Mix is what is asked how often.
type Mix struct {
	Names  *Names  // that there are
	Absent *Names  // that there are not; may be nil
	Share  float64 // of queries for absent names
	Zipf   float64 // exponent of the names' popularity; 0: all alike
	Length int     // queries until the sequence begins again
	Seed   uint64
}

// NewSequence draws the queries and builds their frames.
func NewSequence(way Way, mix Mix) (*Sequence, error) {
	switch {
	case !way.From.Is4() || !way.To.Is4() || len(way.FromMAC) != 6 || len(way.ToMAC) != 6:
		return nil, errors.New("build frames: two IPv4 and two Ethernet addresses are needed")
	case way.Sources < 1 || int(way.Source)+way.Sources > 1<<16:
		return nil, fmt.Errorf("build frames: %d source ports from %d", way.Sources, way.Source)
	case mix.Share < 0 || mix.Share > 1 || mix.Share > 0 && mix.Absent == nil:
		return nil, fmt.Errorf("build frames: a share of %g absent names: 0 to 1, and names for them", mix.Share)
	case mix.Length < 1:
		return nil, fmt.Errorf("build frames: a sequence of %d", mix.Length)
	}
	random := rand.New(rand.NewPCG(mix.Seed, 1034))
	present, err := NewPopularity(mix.Names.Len(), mix.Zipf, random)
	if err != nil {
		return nil, err
	}
	var absent *Popularity
	if mix.Share > 0 {
		if absent, err = NewPopularity(mix.Absent.Len(), mix.Zipf, random); err != nil {
			return nil, err
		}
	}
	s := &Sequence{way: way}
	for range mix.Length {
		question := []byte(nil)
		if absent != nil && random.Float64() < mix.Share {
			question = mix.Absent.At(absent.Draw(random))
		} else {
			question = mix.Names.At(present.Draw(random))
		}
		if len(s.octets) > maxOctets {
			return nil, errors.New("build frames: more than 4 GiB: a shorter sequence")
		}
		s.add(question)
	}
	return s, nil
}

// add builds a frame without ID and source port. In place of the UDP checksum stands the
// sum of all else (RFC 768), for Stamp to finish.
func (s *Sequence) add(question []byte) {
	begin := len(s.octets)
	b := append(append(s.octets, s.way.ToMAC...), s.way.FromMAC...)
	b = append(b, 8, 0)
	datagram := uint16(8 + header + len(question))
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, 20+datagram)
	b = append(b, 0, 0, 0x40, 0, 64, 17, 0, 0) // DF: no fragments, and no ID needed (RFC 6864 §4.1)
	from, to := s.way.From.As4(), s.way.To.As4()
	b = append(append(b, from[:]...), to[:]...)
	ip := b[begin+atIP:]
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip, 0)))
	b = binary.BigEndian.AppendUint16(append(b, 0, 0), s.way.Port)
	b = append(binary.BigEndian.AppendUint16(b, datagram), 0, 0)
	b = append(b, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	b = append(b, question...)
	udp := b[begin+atUDP:]
	all := sum(udp, 17+uint64(datagram)) + sum(from[:], 0) + sum(to[:], 0)
	binary.BigEndian.PutUint16(udp[6:], fold(all))
	s.octets = b
	s.ends = append(s.ends, uint32(len(b)))
}

// Len is how many frames there are.
func (s *Sequence) Len() int { return len(s.ends) }

// Next is the next frame; after the last comes the first.
func (s *Sequence) Next() []byte {
	if s.next == len(s.ends) {
		s.next, s.begin = 0, 0
	}
	begin := s.begin
	s.begin = s.ends[s.next]
	s.next++
	return s.octets[begin:s.begin]
}

// Numbers is how many queries can be told apart: each source port has all IDs.
func (s *Sequence) Numbers() int { return s.way.Sources << 16 }

// Stamp writes ID, source port and checksum into a copy of a frame of the sequence. Those
// that follow each other in number come from different ports.
func (s *Sequence) Stamp(b []byte, number uint32) {
	sources := uint32(s.way.Sources)
	port, id := s.way.Source+uint16(number%sources), uint16(number/sources)
	binary.BigEndian.PutUint16(b[atUDP:], port)
	binary.BigEndian.PutUint16(b[atDNS:], id)
	all := uint64(binary.BigEndian.Uint16(b[atUDP+6:])) + uint64(port) + uint64(id)
	check := ^fold(all)
	if check == 0 {
		check = 0xffff // 0 says that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(b[atUDP+6:], check)
}

// A Reply is what is read of a reply's frame.
type Reply struct {
	Number  uint32 // of the query
	RCode   uint8
	Answers bool // has any
}

// Read reads a frame; ok is false where it is no reply to this sequence.
func (s *Sequence) Read(b []byte) (r Reply, ok bool) {
	if len(b) < atDNS+header || b[12] != 8 || b[13] != 0 || b[atIP] != 0x45 || b[atIP+9] != 17 ||
		binary.BigEndian.Uint16(b[atUDP:]) != s.way.Port || b[atDNS+2]&0x80 == 0 {
		return r, false
	}
	source := binary.BigEndian.Uint16(b[atUDP+2:]) - s.way.Source
	if int(source) >= s.way.Sources {
		return r, false
	}
	r.Number = uint32(binary.BigEndian.Uint16(b[atDNS:]))*uint32(s.way.Sources) + uint32(source)
	r.RCode, r.Answers = b[atDNS+3]&15, b[atDNS+6]|b[atDNS+7] != 0
	return r, true
}

// sum adds b to a ones' complement sum (RFC 1071).
func sum(b []byte, s uint64) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
