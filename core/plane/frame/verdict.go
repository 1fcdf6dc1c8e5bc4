package frame

// A Verdict is what a received frame is to a host. All but Query and Turned are
// reasons not to answer.
type Verdict uint8

const (
	Query    Verdict = iota // a datagram for the service port
	Turned                  // answered in place: ARP, neighbour discovery, echo
	Foreign                 // not for the host: another's Ethernet or IP address
	Other                   // for the host, but not for the service: the kernel's, if anybody's
	Short                   // shorter than its headers say, or lengths that cannot be
	Checksum                // damaged on the way
	Fragment                // a part of a datagram (never put together: RFC 8900)
	Options                 // IPv4 options, or IPv6 extension headers beyond the usual
	Source                  // from nobody who could be answered: group, loopback, our own address
	Verdicts                // how many there are
)

// String names the verdict as metrics do.
func (v Verdict) String() string {
	return [...]string{"query", "turned", "foreign", "other", "short", "checksum", "fragment", "options", "source"}[v]
}
