package nasty

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/miekg/dns"
)

// Guesses is how many guesses the behaviour flood sends.
const Guesses = 10_000

// Late is how late the behaviour late answers: behind any client's patience that is
// the default.
const Late = 2200 * time.Millisecond

// Behaviours are all of them, by name. Forged replies hold Evil. Where TCP isn't spoken
// of, it is answered honestly.
func Behaviours() map[string]Behaviour {
	all := map[string]Behaviour{}
	for name, change := range forged {
		all[name] = datagrams(func(q *Query) {
			q.Send(change(q))
			q.Honest()
		})
	}
	for name, change := range answers {
		all[name] = func(q *Query) { q.Send(q.Reply(Good, change)) }
	}
	for name, make := range garbled {
		all[name] = datagrams(func(q *Query) { q.Send(make(q)) })
		all[name+"-everywhere"] = func(q *Query) { q.Send(make(q)) }
	}
	for name, code := range codes {
		all[name] = func(q *Query) { q.Send(q.Reply(Good, refusal(code))) }
	}
	for name, answer := range streams {
		all[name] = func(q *Query) {
			if !q.Stream() {
				q.Send(q.Reply(Evil, func(m *dns.Msg) { m.Truncated = true }))
				return
			}
			answer(q)
		}
	}
	all["wrong-port"] = datagrams(func(q *Query) { q.SendFrom(q.Addr.Addr().String(), q.Reply(Evil, nil)); q.Honest() })
	all["wrong-address"] = datagrams(func(q *Query) { q.SendFrom("127.0.0.99", q.Reply(Evil, nil)); q.Honest() })
	all["only-wrong-address"] = datagrams(func(q *Query) { q.SendFrom("127.0.0.99", q.Reply(Evil, nil)) })
	all["flood"] = datagrams(flood)
	all["silent"] = func(*Query) {}
	all["twice"] = datagrams(func(q *Query) { q.Honest(); q.Honest() })
	all["late"] = func(q *Query) { q.Pause(Late); q.Honest() }
	all["no-edns"] = func(q *Query) {
		if q.Msg.IsEdns0() == nil {
			q.Honest()
			return
		}
		q.Send(q.Reply(Good, func(m *dns.Msg) { m.Rcode, m.Answer, m.Extra = dns.RcodeFormatError, nil, nil }))
	}
	return all
}

// datagrams misbehaves over UDP only.
func datagrams(b Behaviour) Behaviour {
	return func(q *Query) {
		if q.Stream() {
			q.Honest()
			return
		}
		b(q)
	}
}

// forged replies come before the honest one.
var forged = map[string]func(q *Query) []byte{
	"wrong-id": func(q *Query) []byte { m := q.Reply(Evil, nil); m[1] ^= 1; return m },
	"wrong-name": func(q *Query) []byte {
		return q.Reply(Evil, func(m *dns.Msg) { m.Question[0].Name = "wrong.nasty.example." })
	},
	"wrong-type": func(q *Query) []byte {
		return q.Reply(Evil, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT })
	},
	"wrong-class": func(q *Query) []byte {
		return q.Reply(Evil, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })
	},
	"no-question": func(q *Query) []byte {
		return q.Reply(Evil, func(m *dns.Msg) { m.Question = nil })
	},
	"query":        func(q *Query) []byte { m := q.Reply(Evil, nil); m[2] &^= 0x80; return m },
	"wrong-opcode": func(q *Query) []byte { return q.Reply(Evil, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }) },
	"short-header": func(q *Query) []byte { return q.Reply(Evil, nil)[:5] },
	"empty":        func(*Query) []byte { return nil },
}

// flood sends guesses of the ID in front of the honest answer, all but the right one.
func flood(q *Query) {
	guess := q.Reply(Evil, nil)
	id := binary.BigEndian.Uint16(q.Wire)
	for i := range uint16(Guesses) {
		binary.BigEndian.PutUint16(guess, id+1+i)
		q.Send(guess)
	}
	q.Honest()
}

// answers are right, with something beside that is not.
var answers = map[string]func(*dns.Msg){
	"foreign-records": func(m *dns.Msg) {
		m.Answer = append(m.Answer, address("www.bank.example.", Evil))
		m.Ns = []dns.RR{&dns.NS{Hdr: header("bank.example.", dns.TypeNS), Ns: "ns.bank.example."}}
		m.Extra = append(m.Extra, address("ns.bank.example.", Evil), address("www.bank.example.", Evil))
	},
	"foreign-alias": func(m *dns.Msg) {
		m.Answer = []dns.RR{
			&dns.CNAME{Hdr: header(m.Question[0].Name, dns.TypeCNAME), Target: "target.bank.example."},
			address("target.bank.example.", Evil),
		}
	},
	"only-foreign": func(m *dns.Msg) { m.Answer = []dns.RR{address("www.bank.example.", Evil)} },
	"record-class": func(m *dns.Msg) {
		other := address(m.Question[0].Name, Evil)
		other.Header().Class = dns.ClassCHAOS
		m.Answer = []dns.RR{other}
	},
	"long-ttl":    func(m *dns.Msg) { m.Answer[0].Header().Ttl = 8 * 24 * 3600 },
	"top-bit-ttl": func(m *dns.Msg) { m.Answer[0].Header().Ttl = 1<<31 + 3600 },
	"lame": func(m *dns.Msg) {
		m.Answer, m.Ns = nil, []dns.RR{&dns.NS{Hdr: header(".", dns.TypeNS), Ns: "a.root-servers.net."}}
	},
}

func header(name string, typ uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: 3600}
}

func address(name, text string) dns.RR {
	return &dns.A{Hdr: header(name, dns.TypeA), A: net.ParseIP(text)}
}

// codes are responses without an answer.
var codes = map[string]int{
	"formerr": dns.RcodeFormatError, "servfail": dns.RcodeServerFailure, "notimp": dns.RcodeNotImplemented,
	"refused": dns.RcodeRefused, "rcode-11": 11, "rcode-23": dns.RcodeBadCookie,
}

func refusal(code int) func(*dns.Msg) {
	return func(m *dns.Msg) {
		if m.Rcode, m.Answer = code, nil; code > 15 && m.IsEdns0() == nil { // which holds a part of it
			m.SetEdns0(1232, false)
		}
	}
}

// garbled replies have the right question and cannot be read.
var garbled = map[string]func(q *Query) []byte{
	"name-loop": func(q *Query) []byte {
		m := q.Reply(Evil, nil)
		at := 12 + len(q.Msg.Question[0].Name) + 1 + 4 // the answer's owner, behind header and question
		binary.BigEndian.PutUint16(m[at:], 0xc000|uint16(at))
		return m
	},
	"data-loop": func(q *Query) []byte {
		m := q.Reply(Evil, func(m *dns.Msg) {
			m.Extra = nil
			m.Answer = []dns.RR{&dns.CNAME{Hdr: header(m.Question[0].Name, dns.TypeCNAME), Target: "x."}}
		})
		at := len(m) - 3
		binary.BigEndian.PutUint16(m[at:], 0xc000|uint16(at))
		m[at+2] = 0
		return m
	},
	"cut":        func(q *Query) []byte { m := q.Reply(Evil, nil); return m[:len(m)-13] },
	"bad-counts": func(q *Query) []byte { m := q.Reply(Evil, nil); m[6] = 0xff; return m },
	"oversized":  func(q *Query) []byte { return append(q.Reply(Evil, nil), make([]byte, 5000)...) },
}

// streams are what comes over TCP, after a truncated reply.
var streams = map[string]Behaviour{
	"tcp-noise":       func(q *Query) { q.Send(noise(300)); q.Pause(5 * time.Second) },
	"tcp-short-noise": func(q *Query) { q.Send(noise(3)); q.Pause(5 * time.Second) },
	"tcp-other-question": func(q *Query) {
		q.Send(q.Reply(Evil, func(m *dns.Msg) { m.Question[0].Name = "wrong.nasty.example." }))
	},
	"tcp-length-long": func(q *Query) {
		m := q.Reply(Evil, nil)
		_, _ = q.Conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m)+1000)), m...))
		q.Pause(5 * time.Second)
	},
	"tcp-length-short": func(q *Query) {
		m := q.Reply(Evil, nil)
		_, _ = q.Conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m)-20)), m...))
	},
	"tcp-closed-once": func(q *Query) {
		if q.Time%2 == 1 {
			half(q)
			return
		}
		q.Honest()
	},
	"tcp-closed": half,
	"tcp-truncated": func(q *Query) {
		q.Send(q.Reply(Evil, func(m *dns.Msg) { m.Truncated = true }))
	},
}

// half sends one half of an answer and hangs up.
func half(q *Query) {
	m := q.Reply(Good, nil)
	_, _ = q.Conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m[:len(m)/2]...))
	_ = q.Conn.Close()
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i*7 + 0x81)
	}
	return b
}
