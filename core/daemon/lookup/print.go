package lookup

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Write writes the whole answer for people.
func (a *Answer) Write(w io.Writer) error {
	var b strings.Builder
	m := a.Message
	if a.Truncated {
		b.WriteString(";; truncated over UDP, asked again over TCP\n")
	}
	fmt.Fprintf(&b, ";; status: %s, id: %d, flags: %s\n", rcode(m), m.Id, flags(m))
	writeEDNS(&b, m)
	for _, q := range m.Question {
		fmt.Fprintf(&b, "\n;; question\n;%s %s %s\n", q.Name, dns.Class(q.Qclass), dns.Type(q.Qtype))
	}
	writeSection(&b, "answer", m.Answer)
	writeSection(&b, "authority", m.Ns)
	writeSection(&b, "additional", m.Extra)
	fmt.Fprintf(&b, "\n;; server: %s (%s), time: %s, size: %d octets\n",
		a.Server, a.Network, a.Took.Round(10*time.Microsecond), m.Len())
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteShort writes only the data of the answer's records, one a line.
func (a *Answer) WriteShort(w io.Writer) error {
	for _, rr := range a.Message.Answer {
		data := strings.TrimPrefix(rr.String(), rr.Header().String())
		if _, err := fmt.Fprintln(w, data); err != nil {
			return err
		}
	}
	return nil
}

// rcode is the response code with its extended part (RFC 6891 section 6.1.3),
// which the library puts together as it unpacks.
func rcode(m *dns.Msg) string {
	if name, ok := dns.RcodeToString[m.Rcode]; ok {
		return name
	}
	return fmt.Sprintf("RCODE%d", m.Rcode)
}

func flags(m *dns.Msg) string {
	var set []string
	for _, flag := range []struct {
		name string
		on   bool
	}{
		{"qr", m.Response}, {"aa", m.Authoritative}, {"tc", m.Truncated}, {"rd", m.RecursionDesired},
		{"ra", m.RecursionAvailable}, {"ad", m.AuthenticatedData}, {"cd", m.CheckingDisabled},
	} {
		if flag.on {
			set = append(set, flag.name)
		}
	}
	return strings.Join(set, " ")
}

// writeEDNS writes the OPT record, extended errors (RFC 8914) in words.
func writeEDNS(b *strings.Builder, m *dns.Msg) {
	opt := m.IsEdns0()
	if opt == nil {
		return
	}
	fmt.Fprintf(b, ";; EDNS: version %d, udp %d", opt.Version(), opt.UDPSize())
	if opt.Do() {
		b.WriteString(", do")
	}
	b.WriteString("\n")
	for _, option := range opt.Option {
		switch o := option.(type) {
		case *dns.EDNS0_EDE:
			fmt.Fprintf(b, ";; EDE: %d (%s)", o.InfoCode, dns.ExtendedErrorCodeToString[o.InfoCode])
			if o.ExtraText != "" {
				fmt.Fprintf(b, ": %q", o.ExtraText)
			}
			b.WriteString("\n")
		default:
			fmt.Fprintf(b, ";; option %d: %q\n", option.Option(), option.String())
		}
	}
}

func writeSection(b *strings.Builder, name string, records []dns.RR) {
	heading := "\n;; " + name + "\n"
	for _, rr := range records {
		if rr.Header().Rrtype == dns.TypeOPT {
			continue
		}
		b.WriteString(heading + rr.String() + "\n")
		heading = ""
	}
}
