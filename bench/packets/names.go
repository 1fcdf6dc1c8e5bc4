package packets

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Types that a line may name, by their codes (RFC 1035 §3.2.2, RFC 3596, RFC 2782,
// RFC 9460).
var types = map[string]uint16{"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "HTTPS": 65, "ANY": 255}

// ParseType is a type's code, from its name or TYPE123 (RFC 3597 §5).
func ParseType(text string) (uint16, error) {
	if code, ok := types[strings.ToUpper(text)]; ok {
		return code, nil
	}
	if digits, ok := strings.CutPrefix(strings.ToUpper(text), "TYPE"); ok {
		if code, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return uint16(code), nil
		}
	}
	return 0, fmt.Errorf("parse type: %q is none that is known here; TYPE123 always is", text)
}

// Names are questions as they stand in a message: name, type, class IN.
type Names struct {
	octets []byte
	ends   []uint32
}

// Len is how many there are.
func (n *Names) Len() int { return len(n.ends) }

// At is the i-th question.
func (n *Names) At(i int) []byte {
	begin := uint32(0)
	if i > 0 {
		begin = n.ends[i-1]
	}
	return n.octets[begin:n.ends[i]]
}

// maxOctets of all names together: what the ends can count.
const maxOctets = 1<<32 - 1 - 300

// Add appends the question for a name in presentation form without escapes; the final
// dot may be left out.
func (n *Names) Add(name string, typ uint16) error {
	if len(n.octets) > maxOctets {
		return errors.New("more than 4 GiB of names")
	}
	begin := len(n.octets)
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" && name != "." || len(label) > 63 {
			n.octets = n.octets[:begin]
			return fmt.Errorf("name %q: a label has 1 to 63 octets (RFC 1035 §2.3.4)", name)
		}
		if label != "" {
			n.octets = append(append(n.octets, byte(len(label))), label...)
		}
	}
	n.octets = append(n.octets, 0)
	if len(n.octets)-begin > 255 {
		n.octets = n.octets[:begin]
		return fmt.Errorf("name %q: longer than 255 octets (RFC 1035 §2.3.4)", name)
	}
	n.octets = append(n.octets, byte(typ>>8), byte(typ), 0, 1)
	n.ends = append(n.ends, uint32(len(n.octets)))
	return nil
}

// ReadNames reads lines of a name and, where one stands behind it, a type: dnsperf's
// format. Lines without take the types in turn.
func ReadNames(r io.Reader, turns []uint16) (*Names, error) {
	n := new(Names)
	s := bufio.NewScanner(r)
	for line := 1; s.Scan(); line++ {
		name, rest, _ := strings.Cut(strings.TrimSpace(s.Text()), " ")
		if name == "" || name[0] == '#' || name[0] == ';' {
			continue
		}
		typ := turns[n.Len()%len(turns)]
		if rest = strings.TrimSpace(rest); rest != "" {
			var err error
			if typ, err = ParseType(rest); err != nil {
				return nil, fmt.Errorf("read names: line %d: %w", line, err)
			}
		}
		if err := n.Add(name, typ); err != nil {
			return nil, fmt.Errorf("read names: line %d: %w", line, err)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	if n.Len() == 0 {
		return nil, errors.New("read names: there is none")
	}
	return n, nil
}

// NumberNames makes names of a pattern with one %d, for the numbers from first on.
func NumberNames(pattern string, first, count int, turns []uint16) (*Names, error) {
	before, after, ok := strings.Cut(pattern, "%d")
	if !ok || count < 1 {
		return nil, fmt.Errorf("number names: %d of pattern %q: it must have %%d for the number", count, pattern)
	}
	n := new(Names)
	for i := range count {
		if err := n.Add(before+strconv.Itoa(first+i)+after, turns[i%len(turns)]); err != nil {
			return nil, fmt.Errorf("number names: %w", err)
		}
	}
	return n, nil
}
