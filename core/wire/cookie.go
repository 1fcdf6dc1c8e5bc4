package wire

import (
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/dchest/siphash"
)

// Octets of cookies (RFC 7873 §4). Ours are those of RFC 9018 §4: version, reserved,
// timestamp, hash.
const (
	ClientCookie = 8
	serverCookie = 1 + 3 + 4 + 8
	mostCookie   = ClientCookie + 32 // that others' servers may have made

	cookieVersion = 1
	cookieValid   = int32(time.Hour / time.Second)        // RFC 9018 §4.3
	cookieRenew   = int32(30 * time.Minute / time.Second) // from then on another is given
	cookieAhead   = int32(5 * time.Minute / time.Second)  // that clocks of servers may differ
)

// CookieSecret is the key of a server's cookies (RFC 9018 §4.4). Servers of one
// address share it.
type CookieSecret [16]byte

// CookieState is what a query's cookie says about its asker.
type CookieState uint8

const (
	NoCookie     CookieState = iota
	BareCookie               // the client's alone, or with a server's that is not or no longer ours
	ProvenCookie             // the client gets what is sent to its address
	BadCookie                // malformed
	CookieStates = iota      // how many there are
)

func (s CookieState) String() string {
	return [...]string{"none", "client only", "valid", "malformed"}[s]
}

// Cookies makes and checks server cookies (RFC 7873, RFC 9018). It keeps nothing of
// clients; all its methods may be called from any goroutine.
type Cookies struct{ keys []sipKey }

type sipKey struct{ a, b uint64 }

// NewCookies makes cookies by a secret, and takes those made by it and by others:
// what was the secret before, or will be next (RFC 9018 §5).
func NewCookies(secret CookieSecret, others ...CookieSecret) *Cookies {
	c := new(Cookies)
	for _, s := range append([]CookieSecret{secret}, others...) {
		c.keys = append(c.keys, sipKey{binary.LittleEndian.Uint64(s[:]), binary.LittleEndian.Uint64(s[8:])})
	}
	return c
}

// Check looks at the cookie of a query that was just parsed, at a time in Unix
// seconds, and has the reply carry one for next time. It allocates nothing.
func (c *Cookies) Check(q *Query, client netip.Addr, now uint32) CookieState {
	got := q.Option(OptionCookie)
	if got == nil {
		return NoCookie
	}
	if n := len(got); n != ClientCookie && (n < 2*ClientCookie || n > mostCookie) { // RFC 7873 §5.2.2
		return BadCookie
	}
	x := &q.Extras
	copy(x.cookie[:], got)
	x.size = ClientCookie + serverCookie
	state := BareCookie
	if len(got) == len(x.cookie) && got[ClientCookie] == cookieVersion {
		age := int32(now - binary.BigEndian.Uint32(got[ClientCookie+4:])) // RFC 1982: across 2106
		if age <= cookieValid && age >= -cookieAhead {
			for i, k := range c.keys {
				if !k.made(x, client) {
					continue
				}
				state = ProvenCookie
				if i == 0 && age <= cookieRenew {
					return state // it goes back as it came
				}
				break
			}
		}
	}
	c.keys[0].make(x, client, now)
	return state
}

// make writes the server's part behind the client's.
func (k sipKey) make(x *Extras, client netip.Addr, now uint32) {
	s := x.cookie[ClientCookie:]
	s[0], s[1], s[2], s[3] = cookieVersion, 0, 0, 0
	binary.BigEndian.PutUint32(s[4:], now)
	binary.LittleEndian.PutUint64(s[8:], k.hash(x, client))
}

// made tells whether the server's part was made with this key.
func (k sipKey) made(x *Extras, client netip.Addr) bool {
	var want [8]byte
	binary.LittleEndian.PutUint64(want[:], k.hash(x, client))
	return subtle.ConstantTimeCompare(want[:], x.cookie[ClientCookie+8:]) == 1
}

// hash is over the client's cookie, the server's up to the hash, and the client's
// address (RFC 9018 §4.4).
func (k sipKey) hash(x *Extras, client netip.Addr) uint64 {
	var text [ClientCookie + 8 + 16]byte
	n := copy(text[:], x.cookie[:ClientCookie+8])
	if client = client.Unmap(); client.Is4() {
		a := client.As4()
		n += copy(text[n:], a[:])
	} else {
		a := client.As16()
		n += copy(text[n:], a[:])
	}
	return siphash.Hash(k.a, k.b, text[:n])
}
