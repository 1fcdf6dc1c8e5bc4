package resolvconf

import (
	"net/netip"
	"strings"
)

// What glibc keeps to, and takes where the file says nothing (resolv.h).
const (
	maxServers  = 3  // MAXNS
	maxNDots    = 15 // RES_MAXNDOTS
	maxTimeout  = 30 // RES_MAXRETRANS, seconds
	maxAttempts = 5  // RES_MAXRETRY

	defaultNDots    = 1
	defaultTimeout  = 5 // seconds
	defaultAttempts = 2
)

// Settings are what a file means to glibc.
type Settings struct {
	Servers []netip.Addr // all that are named; only the first three are asked
	Search  []string     // the domains that are tried, of search as of domain
	Domain  bool         // Search is that of a domain line
	Options []string     // as they are written, in their order

	NDots, Timeout, Attempts int // Timeout in seconds
	Rotate                   bool
}

// Parse reads a file. Whatever it holds means something: glibc knows no errors.
func Parse(file []byte) Settings {
	s := Settings{NDots: defaultNDots, Timeout: defaultTimeout, Attempts: defaultAttempts}
	for _, l := range split(file) {
		word, rest := l.keyword()
		all := words(rest)
		switch {
		case len(all) == 0:
		case word == nameserver:
			if a, ok := server(rest); ok {
				s.Servers = append(s.Servers, a)
			}
		case word == domain:
			s.Search, s.Domain = all[:1], true
		case word == search:
			s.Search, s.Domain = all, false
		case word == options:
			s.options(rest)
		}
	}
	return s
}

// options takes up a line's. A later one wins.
func (s *Settings) options(rest string) {
	for rest = strings.TrimLeft(rest, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		o := words(rest)[0]
		s.Options = append(s.Options, o)
		s.option(o, rest)
		rest = rest[len(o):]
	}
}

// option takes up the option o, which text begins with: a number may stand behind a
// blank.
func (s *Settings) option(o, text string) {
	switch {
	case strings.HasPrefix(o, "ndots:"):
		s.NDots = number(text[len("ndots:"):], maxNDots) & maxNDots // a field of four bits
	case strings.HasPrefix(o, "timeout:"):
		s.Timeout = number(text[len("timeout:"):], maxTimeout)
	case strings.HasPrefix(o, "attempts:"):
		s.Attempts = number(text[len("attempts:"):], maxAttempts)
	case isRotate(o):
		s.Rotate = true
	}
}

// isRotate compares as glibc does: what follows does not matter.
func isRotate(o string) bool { return strings.HasPrefix(o, "rotate") }

// has tells whether an option such as "timeout:" is given.
func (s *Settings) has(prefix string) bool {
	for _, o := range s.Options {
		if strings.HasPrefix(o, prefix) {
			return true
		}
	}
	return false
}

// number is atoi(3), but most at most.
func number(text string, most int) (n int) {
	text = strings.TrimLeft(text, " \t\r\v\f")
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	for _, r := range digits {
		if r < '0' || r > '9' || n > most {
			break
		}
		n = n*10 + int(r-'0')
	}
	if negative {
		return -n
	}
	return min(n, most)
}

// asked are the servers that glibc asks.
func (s *Settings) asked() []netip.Addr { return s.Servers[:min(len(s.Servers), maxServers)] }
