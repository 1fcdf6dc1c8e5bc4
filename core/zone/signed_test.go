package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// chained is a zone test. with A records for names, signed by a fake: its NSEC or NSEC3
// chain is in order, its signatures are not. (Real ones are looked at in e2e.)
func chained(hashed bool, serial int, names ...string) string {
	const signature = " 13 2 3600 20300101000000 20200101000000 1 test. AAAA\n"
	var b strings.Builder
	sign := func(owner, typ string) { fmt.Fprintf(&b, "%s 60 RRSIG %s%s", owner, typ, signature) }
	fmt.Fprintf(&b, "$ORIGIN test.\ntest. 300 SOA ns h %d 1 1 1 60\ntest. 300 NS ns\n", serial)
	sign("test.", "SOA")
	sign("test.", "NS")
	owners := []string{"test."}
	for _, n := range names {
		fmt.Fprintf(&b, "%s.test. 300 A 192.0.2.1\n", n)
		sign(n+".test.", "A")
		owners = append(owners, n+".test.")
	}
	typ := "NSEC"
	if hashed {
		typ = "NSEC3"
		b.WriteString("test. 0 NSEC3PARAM 1 0 2 AB\n")
		for i, o := range owners {
			h := (&denial{iterations: 2, salt: []byte{0xab}}).hash(wire.MustName(o))
			owners[i] = hashText.EncodeToString(h[:]) + ".test."
		}
	}
	slices.SortFunc(owners, func(a, b string) int { return canonical(wire.MustName(a), wire.MustName(b)) })
	for i, o := range owners {
		next := owners[(i+1)%len(owners)]
		if hashed {
			next = "1 0 2 AB " + strings.TrimSuffix(next, ".test.")
		}
		fmt.Fprintf(&b, "%s 60 %s %s A RRSIG\n", o, typ, next)
		sign(o, typ)
	}
	return b.String()
}

func wantsDNSSEC(name string, typ uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, typ)
	m.SetEdns0(4096, true)
	return m
}

var denials = map[string]bool{"NSEC": false, "NSEC3": true}

// Signatures and proofs come with DO and not without, and cost no allocation.
func TestSigned(t *testing.T) {
	for what, hashed := range denials {
		t.Run(what, func(t *testing.T) {
			table := loaded(t, "test", chained(hashed, 1, "a", "b", "*.w", "z"))
			for _, tt := range []struct {
				name   string
				typ    uint16
				answer int // records
				proofs int // NSEC or NSEC3 records
			}{
				{"a.test.", dns.TypeA, 2, 0},
				{"x.w.test.", dns.TypeA, 2, 1},
				{"a.test.", dns.TypeMX, 0, 1},
				{"nothing.test.", dns.TypeA, 0, map[bool]int{false: 2, true: 3}[hashed]},
			} {
				for _, do := range []bool{true, false} {
					m := wantsDNSSEC(tt.name, tt.typ)
					m.IsEdns0().SetDo(do)
					reply := ask(t, table, m)
					text := reply.String()
					switch got := countProofs(reply); {
					case !do && (got > 0 || strings.Contains(text, "RRSIG")):
						t.Errorf("%s %s without DO:\n%s", tt.name, dns.Type(tt.typ), text)
					case do && hashed && got > tt.proofs, do && !hashed && got != tt.proofs, do && tt.proofs > 0 && got == 0, do && len(reply.Answer) != tt.answer:
						t.Errorf("%s %s: %d proofs, want %d\n%s", tt.name, dns.Type(tt.typ), got, tt.proofs, text)
					}
				}
				if n := allocations(t, table, wantsDNSSEC(tt.name, tt.typ)); n != 0 {
					t.Errorf("%s %s: %v allocations", tt.name, dns.Type(tt.typ), n)
				}
			}
		})
	}
}

func countProofs(m *dns.Msg) (n int) {
	for _, rr := range m.Ns {
		if typ := rr.Header().Rrtype; typ == dns.TypeNSEC || typ == dns.TypeNSEC3 {
			n++
		}
	}
	return n
}

// allocations of one question's answer.
func allocations(t *testing.T, table *Table, m *dns.Msg) float64 {
	t.Helper()
	r := table.NewReader()
	defer r.Close()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, len(b), 4096)
	var q wire.Query
	return testing.AllocsPerRun(100, func() {
		copy(data, b)
		q.Parse(data[:len(b)])
		r.Enter()
		r.Answer(&q, data[:len(b)], q.Limit(false, 4096), -1)
		r.Leave()
	})
}

// A reply that lacks a signature or proof for want of room says TC (RFC 4035 §3.1).
func TestSignedTruncation(t *testing.T) {
	for what, hashed := range denials {
		t.Run(what, func(t *testing.T) {
			table := loaded(t, "test", chained(hashed, 1, "a", "b", "c", "d", "e", "*.w", "z"))
			r := table.NewReader()
			defer r.Close()
			for _, name := range []string{"a.test.", strings.Repeat("long.", 40) + "w.test.", strings.Repeat("long.", 40) + "test."} {
				whole := askReader(t, r, wantsDNSSEC(name, dns.TypeA), wire.MaxMessage)
				all := len(whole.Answer) + len(whole.Ns)
				for limit := 512; limit < 1300; limit += 7 {
					m := askReader(t, r, wantsDNSSEC(name, dns.TypeA), limit)
					if got := len(m.Answer) + len(m.Ns); m.Truncated != (got < all) {
						t.Fatalf("%s in %d octets: %d of %d records, TC %v", name, limit, got, all, m.Truncated)
					}
				}
			}
		})
	}
}

// A zone that is signed anew, or not any more, proves what is so then; owners of NSEC3
// records are no names.
func TestSignedAnew(t *testing.T) {
	for what, hashed := range denials {
		t.Run(what, func(t *testing.T) {
			table := loaded(t, "test", chained(hashed, 1, "a", "z"))
			for serial, names := range [][]string{2: {"a", "m", "z"}, 3: {"m"}} {
				if len(names) == 0 {
					continue
				}
				if _, err := table.Load(wire.MustName("test"), strings.NewReader(chained(hashed, serial, names...)), "test.zone", 0); err != nil {
					t.Fatal(err)
				}
				d := table.Zone(wire.MustName("test")).denial
				if got := len(d.at) + len(d.hashes); got != len(names)+1 {
					t.Errorf("%v: %d proofs are known", names, got)
				}
				for i := range d.hashes {
					owner := hashText.EncodeToString(d.hashes[i][:]) + ".test."
					for _, typ := range []uint16{dns.TypeA, dns.TypeNSEC3} {
						if m := ask(t, table, wantsDNSSEC(owner, typ)); m.Rcode != dns.RcodeNameError {
							t.Errorf("%s %s:\n%v", owner, dns.Type(typ), m)
						}
					}
				}
				if m := ask(t, table, wantsDNSSEC("n.test.", dns.TypeA)); m.Rcode != dns.RcodeNameError || countProofs(m) == 0 {
					t.Errorf("%v:\n%v", names, m)
				}
			}
			if _, err := table.Load(wire.MustName("test"), strings.NewReader("@ 60 SOA ns h 4 1 1 1 60\n@ 60 NS ns\n"), "test.zone", 0); err != nil {
				t.Fatal(err)
			}
			if z := table.Zone(wire.MustName("test")); z.denial != nil || z.cuts {
				t.Errorf("no longer signed: %+v", z)
			}
		})
	}
}

// Names that would have to be hashed often for each denial are warned of, or refused
// (RFC 9276 §3).
func TestIterations(t *testing.T) {
	table := newTable(t)
	defer table.Close()
	addZone(t, table, "test")
	load := func(iterations int) (Loaded, error) {
		text := strings.ReplaceAll("@ 60 SOA ns h 4 1 1 1 60\n@ 60 NS ns\n@ 0 NSEC3PARAM 1 0 N -\n0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 60 NSEC3 1 0 N - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A\n", "N -", fmt.Sprint(iterations, " -"))
		return table.Load(wire.MustName("test"), strings.NewReader(text), "test.zone", 0)
	}
	if got, err := load(0); err != nil || len(got.Warnings) != 0 {
		t.Errorf("none: %v, %+v", err, got)
	}
	if got, err := load(10); err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "test.zone:1: NSEC3 with 10 iterations") {
		t.Errorf("some: %v, %+v", err, got)
	}
	if _, err := load(151); err == nil || !strings.Contains(err.Error(), "test.zone:1: master file: NSEC3 with 151 iterations") {
		t.Errorf("many: %v", err)
	}
}

// A wildcard's proof stands in the authority section also where its alias leads to a zone
// that is not signed, and adds hosts or refers on.
func TestExpansionLeads(t *testing.T) {
	const other = "@ 60 SOA ns h 1 1 1 1 60\n@ 60 NS ns\nns A 192.0.2.53\nmail MX 10 ns\ncut NS ns.cut\nns.cut A 192.0.2.54\n"
	signed := strings.ReplaceAll(strings.ReplaceAll(chained(false, 1, "sub"), "sub.test. 300 A 192.0.2.1", "sub.test. 300 NS ns.sub\nns.sub.test. A 192.0.2.54"), "test.", "signed.")
	table := loaded(t, "other", other, "signed", signed)
	for _, target := range []string{"mail.other.", "www.cut.other.", "www.sub.signed."} {
		apex := wire.MustName("test")
		if table.Zone(apex) == nil {
			addZone(t, table, "test")
		}
		text := strings.ReplaceAll(chained(false, 1, "*.w"), "A 192.0.2.1\n", "CNAME "+target+"\n")
		text = strings.ReplaceAll(text, "RRSIG A 13", "RRSIG CNAME 13")
		if _, err := table.Load(apex, strings.NewReader(text), "test.zone", 5); err != nil {
			t.Fatal(err)
		}
		m := ask(t, table, wantsDNSSEC("x.w.test.", dns.TypeMX))
		var types []string
		for _, rr := range slices.Concat(m.Ns, m.Extra) {
			types = append(types, dns.Type(rr.Header().Rrtype).String())
		}
		want := "NSEC RRSIG A OPT"
		if strings.HasPrefix(target, "www.") {
			want = "NS NSEC RRSIG A OPT"
		}
		if target == "www.sub.signed." { // the wildcard's proof, and that there is no DS
			want = "NS NSEC RRSIG NSEC RRSIG A OPT"
			if owner := m.Ns[3].Header().Name; owner != "sub.signed." {
				t.Errorf("the delegation's proof is %s", m.Ns[3])
			}
		}
		if got := strings.Join(types, " "); got != want || len(m.Extra) != 2 {
			t.Errorf("%s: %s; want %s\n%v", target, got, want, m)
		}
	}
}

// A signed zone and one below it on the same server: what the upper one says of the lower
// one's DS comes with its own signature and proof, whichever is loaded, or loaded again,
// last; and the lower one's apex with the lower one's.
func TestBothSidesOfACut(t *testing.T) {
	const signature = " 13 2 3600 20300101000000 20200101000000 1 test. AAAA\n"
	upper := strings.ReplaceAll(chained(false, 1, "a", "sub", "unsigned", "z"), "sub.test. 300 A 192.0.2.1", "sub.test. 300 NS ns.sub\nsub.test. 300 DS 1 13 2 "+strings.Repeat("AB", 32))
	upper = strings.ReplaceAll(upper, "sub.test. 60 RRSIG A", "sub.test. 60 RRSIG DS")
	upper = strings.ReplaceAll(upper, "unsigned.test. 300 A 192.0.2.1", "unsigned.test. 300 NS ns.unsigned")
	lower := "@ 300 SOA ns h 1 1 1 1 60\n@ 300 NS ns\n@ 60 NSEC www.sub.test. SOA NS\nwww 300 A 192.0.2.1\nwww 60 NSEC sub.test. A\n" +
		strings.ReplaceAll("@ 60 RRSIG SOA"+signature+"@ 60 RRSIG NSEC"+signature+"@ 60 RRSIG NS"+signature, "test.", "sub.test.")
	plain := "@ 300 SOA ns h 1 1 1 1 60\n@ 300 NS ns\n"
	zones := []string{"test", upper, "sub.test", lower, "unsigned.test", plain}
	table := loaded(t, zones...)
	look := func(when string) {
		t.Helper()
		for _, tt := range []struct {
			name string
			typ  uint16
			want string // NSEC records and signers
		}{
			{"sub.test.", dns.TypeDS, "RRSIG DS test."},
			{"unsigned.test.", dns.TypeDS, "NSEC unsigned.test. z.test., RRSIG NSEC test., RRSIG SOA test."},
			{"sub.test.", dns.TypeMX, "NSEC sub.test. www.sub.test., RRSIG NSEC sub.test., RRSIG SOA sub.test."},
			{"sub.test.", dns.TypeNS, "RRSIG NS sub.test."},
			{"nothing.test.", dns.TypeA, "NSEC a.test. sub.test., NSEC test. a.test., RRSIG NSEC test., RRSIG NSEC test., RRSIG SOA test."},
		} {
			m := ask(t, table, wantsDNSSEC(tt.name, tt.typ))
			var got []string
			for _, rr := range slices.Concat(m.Answer, m.Ns) {
				switch rr := rr.(type) {
				case *dns.NSEC:
					got = append(got, "NSEC "+rr.Hdr.Name+" "+rr.NextDomain)
				case *dns.RRSIG:
					got = append(got, "RRSIG "+dns.Type(rr.TypeCovered).String()+" "+rr.SignerName)
				}
			}
			slices.Sort(got)
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("%s, %s %s: %s; want %s\n%v", when, tt.name, dns.Type(tt.typ), s, tt.want, m)
			}
		}
	}
	look("loaded")
	for _, i := range []int{0, 2, 4, 0} {
		if _, err := table.Load(wire.MustName(zones[i]), strings.NewReader(zones[i+1]), "z", Source(i)); err != nil {
			t.Fatal(err)
		}
		look(zones[i] + " loaded again")
	}
	if m := ask(t, table, wantsDNSSEC("sub.s.test.", dns.TypeNSEC)); m.Rcode != dns.RcodeNameError {
		t.Errorf("what stands aside is found:\n%v", m)
	}
}

// BenchmarkDenied is what the proof of an NXDOMAIN costs, and the same without.
func BenchmarkDenied(b *testing.B) {
	names := make([]string, 50_000)
	for i := range names {
		names[i] = fmt.Sprintf("host-%07d", i)
	}
	for what, hashed := range denials {
		table := loaded(b, "test", chained(hashed, 1, names...))
		for _, do := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/DO=%v", what, do), func(b *testing.B) {
				r := table.NewReader()
				defer r.Close()
				msg := wire.AppendQuery(nil, 1, 0, wire.MustName("nothing-0000000.test"), wire.TypeA, wire.ClassIN, &wire.EDNS{UDPSize: 1232, DO: do})
				data := make([]byte, len(msg), 1232)
				var q wire.Query
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					copy(data, msg)
					copy(data[wire.HeaderLen+9:], fmt.Appendf(data[len(msg):len(msg)], "%07d", i%10_000_000))
					q.Parse(data[:len(msg)])
					r.Enter()
					r.Answer(&q, data[:len(msg)], 1232, -1)
					r.Leave()
				}
			})
		}
	}
}
