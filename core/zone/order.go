package zone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// TypeOrder is the type of records that say in which order, and how many of, a name's
// addresses are answered. It is one of those for private use (RFC 6895 §3.1), and such a
// record goes wherever records go: master files, etcd, the snapshot, the API.
//
//	www  ORDER  weighted max=2 192.0.2.1=3 192.0.2.2=1
//
// Its data are the order (one octet), the greatest number of addresses (16 bits) and of
// weights (16 bits), and the weights: 4 or 16, the address, the weight in 16 bits, by
// rising address. Integers are big-endian.
const TypeOrder uint16 = 65402

// An Order is how the addresses of a name are put in order.
type Order uint8

const (
	Unsaid     Order = iota // as the zone says; a zone that says nothing rotates
	Rotate                  // each answer of a worker begins one further on
	Shuffle                 // by chance
	Weighted                // by chance, in proportion to weights
	SourceHash              // by the asker's address, the same at all servers
	Sticky                  // as SourceHash, but the first stays first for an asker as long as it is there
	Fixed                   // as they stand, by octets
	orders
)

var orderNames = [orders]string{"unsaid", "rotate", "shuffle", "weighted", "source-hash", "sticky", "fixed"}

func (o Order) String() string { return orderNames[o] }

// ErrOrder is a text or data that is no order.
var ErrOrder = errors.New("not an order of answers")

// ParseOrder reads the name of an order: rotate, shuffle, weighted, source-hash, sticky, fixed.
func ParseOrder(text string) (Order, error) {
	if i := slices.Index(orderNames[1:], strings.ToLower(text)); i >= 0 {
		return Order(i + 1), nil
	}
	return Unsaid, fmt.Errorf("%w: %q; known: %s", ErrOrder, text, strings.Join(orderNames[1:], ", "))
}

// AllAnswers as Ordering.Max undoes what the zone says.
const AllAnswers = 1<<16 - 1

// An Ordering is what a record of TypeOrder says, or a zone for all of its names.
type Ordering struct {
	Order   Order
	Max     uint16 // addresses of an answer; 0: as the zone says, of a zone: all
	Weights []Weight
}

// A Weight is an address's share; those that have none have 1. Weight 0 comes last.
type Weight struct {
	Addr   netip.Addr
	Weight uint16
}

const (
	orderHead = 5
	weights4  = 1 + 4 + 2
	weights16 = 1 + 16 + 2
)

// ParseOrdering reads the text of a record of TypeOrder: an order, max=N or max=all, and
// ADDRESS=WEIGHT, each where it is wanted. Weights alone are an order: weighted.
func ParseOrdering(text string) (Ordering, error) { return parseOrdering(strings.Fields(text)) }

func parseOrdering(words []string) (o Ordering, err error) {
	if len(words) == 0 {
		return o, fmt.Errorf("%w: it is empty", ErrOrder)
	}
	for i, word := range words {
		key, value, pair := strings.Cut(word, "=")
		switch {
		case !pair && i == 0:
			if o.Order, err = ParseOrder(word); err != nil {
				return o, err
			}
		case !pair:
			return o, fmt.Errorf("%w: %q is neither max=N nor ADDRESS=WEIGHT", ErrOrder, word)
		case key == "max" && o.Max == 0:
			if o.Max, err = parseMax(value); err != nil {
				return o, err
			}
		default:
			w, err := parseWeight(key, value)
			if err != nil {
				return o, err
			}
			o.Weights = append(o.Weights, w)
		}
	}
	slices.SortFunc(o.Weights, func(a, b Weight) int { return a.Addr.Compare(b.Addr) })
	for i := 1; i < len(o.Weights); i++ {
		if o.Weights[i].Addr == o.Weights[i-1].Addr {
			return o, fmt.Errorf("%w: %s has two weights", ErrOrder, o.Weights[i].Addr)
		}
	}
	if o.Order == Unsaid && len(o.Weights) > 0 {
		o.Order = Weighted
	}
	if o.size() > 1<<15 {
		return o, fmt.Errorf("%w: %d weights; some 1,700 have room", ErrOrder, len(o.Weights))
	}
	return o, nil
}

func parseMax(value string) (uint16, error) {
	if value == "all" {
		return AllAnswers, nil
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || n == 0 || n == AllAnswers {
		return 0, fmt.Errorf("%w: max=%s is not all, nor a number from 1 to %d", ErrOrder, value, AllAnswers-1)
	}
	return uint16(n), nil
}

func parseWeight(key, value string) (Weight, error) {
	addr, err := netip.ParseAddr(key)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return Weight{}, fmt.Errorf("%w: %q is not an address", ErrOrder, key)
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return Weight{}, fmt.Errorf("%w: the weight of %s is %q, not a number from 0 to 65535", ErrOrder, key, value)
	}
	return Weight{addr, uint16(n)}, nil
}

// String gives the text that ParseOrdering reads.
func (o Ordering) String() string {
	var words []string
	if o.Order != Unsaid {
		words = append(words, o.Order.String())
	}
	switch o.Max {
	case 0:
	case AllAnswers:
		words = append(words, "max=all")
	default:
		words = append(words, "max="+strconv.Itoa(int(o.Max)))
	}
	for _, w := range o.Weights {
		words = append(words, w.Addr.String()+"="+strconv.Itoa(int(w.Weight)))
	}
	return strings.Join(words, " ")
}

func (o *Ordering) size() int {
	n := orderHead
	for _, w := range o.Weights {
		n += weights4 - 4 + w.Addr.BitLen()/8
	}
	return n
}

// Append appends the data of a record of TypeOrder.
func (o Ordering) Append(b []byte) []byte {
	b = append(b, byte(o.Order))
	b = binary.BigEndian.AppendUint16(b, o.Max)
	b = binary.BigEndian.AppendUint16(b, uint16(len(o.Weights)))
	for _, w := range o.Weights {
		addr := w.Addr.AsSlice()
		b = append(append(b, byte(len(addr))), addr...)
		b = binary.BigEndian.AppendUint16(b, w.Weight)
	}
	return b
}

// readOrdering reads what Append wrote, at the start of b, and says how long it is.
func readOrdering(b []byte) (o Ordering, n int, err error) {
	if n = orderingLen(b); n == 0 {
		return o, 0, ErrOrder
	}
	o.Order, o.Max = Order(b[0]), binary.BigEndian.Uint16(b[1:])
	for rest := b[orderHead:n]; len(rest) > 0; rest = rest[3+rest[0]:] {
		addr, _ := netip.AddrFromSlice(rest[1 : 1+rest[0]])
		o.Weights = append(o.Weights, Weight{addr, binary.BigEndian.Uint16(rest[1+rest[0]:])})
	}
	return o, n, nil
}

// orderingLen is the length of an ordering at the start of b, 0 where there is none.
func orderingLen(b []byte) int {
	if len(b) < orderHead || b[0] >= byte(orders) {
		return 0
	}
	if b[0] == 0 && b[1] == 0 && b[2] == 0 {
		return 0 // it says nothing
	}
	n := orderHead
	var last []byte
	for range binary.BigEndian.Uint16(b[3:]) {
		if n >= len(b) || b[n] != 4 && b[n] != 16 || n+3+int(b[n]) > len(b) {
			return 0
		}
		addr := b[n : n+1+int(b[n])]
		if bytes.Compare(last, addr) >= 0 {
			return 0
		}
		last = addr
		n += len(addr) + 2
	}
	if b[0] == 0 && n > orderHead {
		return 0 // weights of no order
	}
	return n
}

// orderData makes TypeOrder known to miekg/dns, which reads and writes its text in
// master files, etcd and commands.
type orderData struct{ Ordering }

// The tables of miekg/dns know no lock, so it is told before there is a goroutine.
var _ = tellOrder()

func tellOrder() bool {
	dns.PrivateHandle("ORDER", TypeOrder, func() dns.PrivateRdata { return new(orderData) })
	return true
}

// Parse implements dns.PrivateRdata, as do those that follow.
func (d *orderData) Parse(words []string) (err error) {
	d.Ordering, err = parseOrdering(words)
	return err
}

func (d *orderData) Pack(b []byte) (int, error) {
	if len(b) < d.size() {
		return 0, dns.ErrBuf
	}
	return len(d.Append(b[:0])), nil
}

func (d *orderData) Unpack(b []byte) (n int, err error) {
	d.Ordering, n, err = readOrdering(b)
	return n, err
}

func (d *orderData) Copy(to dns.PrivateRdata) error {
	*to.(*orderData) = orderData{Ordering{d.Order, d.Max, slices.Clone(d.Weights)}}
	return nil
}

func (d *orderData) Len() int { return d.size() }
