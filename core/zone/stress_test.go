package zone

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// A probe is a question whose answer must always be one of a few.
type probe struct {
	name  string
	typ   uint16
	right func(*dns.Msg) bool
}

// whole holds where all addresses are of one version v, 10.v.v.0 to 10.v.v.n,
// and as many as that version has.
func whole(m *dns.Msg) bool {
	if m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0 {
		return false
	}
	version := m.Answer[0].(*dns.A).A.To4()[1]
	for _, rr := range m.Answer {
		if a := rr.(*dns.A).A.To4(); a[1] != version || a[2] != version {
			return false
		}
	}
	return len(m.Answer) == 1+int(version)%7
}

func version(name string, v int) *Record {
	rec := Record{Name: wire.MustName(name), Type: dns.TypeA, TTL: 60}
	for i := range 1 + v%7 {
		rec.Data = append(rec.Data, []byte{10, byte(v), byte(v), byte(i)})
	}
	return &rec
}

func hasTXT(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1 }

var probes = []probe{
	{"stable-3.test.", dns.TypeA, whole},
	{"stable-17.test.", dns.TypeA, whole},
	{"alias.test.", dns.TypeA, func(m *dns.Msg) bool {
		m.Answer = m.Answer[min(1, len(m.Answer)):]
		return whole(m)
	}},
	{"scattered.file.test.", dns.TypeA, whole},
	{"turns.file.test.", dns.TypeA, func(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 2 }},
	{"ent.test.", dns.TypeA, func(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 && len(m.Ns) == 1 }},
	// A wildcard's answer, or the name's own: never that there is none.
	{"a.b.c.test.", dns.TypeTXT, hasTXT},
	// A wildcard's answer, or a delegation.
	{"host.at.cut.test.", dns.TypeTXT, func(m *dns.Msg) bool { return hasTXT(m) || m.Rcode == dns.RcodeSuccess && len(m.Ns) == 1 }},
	// A zone that comes and goes, below nothing of test's.
	{"www.coming.", dns.TypeTXT, func(m *dns.Msg) bool {
		return hasTXT(m) || m.Rcode == dns.RcodeRefused || m.Rcode == dns.RcodeServerFailure || m.Rcode == dns.RcodeNameError
	}},
}

func fileVersion(v int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 60\n@ SOA ns h %d 1 1 1 1\n@ NS ns\n", v)
	for i := range 1 + v%7 {
		fmt.Fprintf(&b, "scattered A 10.%d.%d.%d\nfiller-%d A 10.0.0.1\n", v, v, i, i)
	}
	if v%2 == 0 {
		b.WriteString("turns A 10.0.0.1\nturns A 10.0.0.2\n")
	} else {
		b.WriteString("turns CNAME turned\n")
	}
	b.WriteString("turned A 10.0.0.3\n")
	return b.String()
}

// askProbes asks all probes within one batch.
func askProbes(r *Reader, queries [][]byte, buf []byte) error {
	r.Enter()
	defer r.Leave()
	for i, p := range probes {
		data := buf[:copy(buf, queries[i])]
		var q wire.Query
		q.Parse(data)
		reply, o := r.Answer(&q, data, 4096, -1)
		var m dns.Msg
		if err := m.Unpack(reply); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if !p.right(&m) {
			return fmt.Errorf("%s (%s): %s", p.name, o, shape(&m))
		}
	}
	return nil
}

// TestStress changes, grows and reloads a table 100,000 times (a tenth under the
// race detector) beside readers, and holds each answer to being wholly old or wholly new.
func TestStress(t *testing.T) {
	table := loaded(t, "test", `
$TTL 60
@ SOA ns h 1 1 1 1 1
@ NS ns
* TXT "wild"
alias CNAME stable-3
ever.ent A 10.0.0.1
`, "file.test", fileVersion(0))
	for i := range 20 {
		put(t, table, version(fmt.Sprintf("stable-%d.test", i), 0))
	}
	var queries [][]byte
	for _, p := range probes {
		queries = append(queries, wire.AppendQuery(nil, 1, 0, wire.MustName(p.name), p.typ, wire.ClassIN, &wire.EDNS{UDPSize: 4096}))
	}
	var done atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			r := table.NewReader()
			defer r.Close()
			buf := make([]byte, 4096)
			for !done.Load() {
				if err := askProbes(r, queries, buf); err != nil {
					t.Error(err)
					return
				}
				asked.Add(int64(len(probes)))
			}
		})
	}
	for change := 0; change < changes && !t.Failed(); change++ {
		if err := disturb(table, change); err != nil {
			t.Error(err)
			break
		}
		if change%64 == 0 {
			runtime.Gosched()
		}
	}
	done.Store(true)
	wg.Wait()
	if asked.Load() < 1000 && !t.Failed() {
		t.Errorf("only %d questions were asked meanwhile", asked.Load())
	}
	t.Logf("%d questions", asked.Load())
}

// disturb makes one change.
func disturb(table *Table, n int) error {
	if n%2000 == 1999 {
		_, err := table.Load(wire.MustName("file.test"), strings.NewReader(fileVersion(n/2000%200)), "file.test.zone", 2)
		return err
	}
	return table.Update(func(tx *Tx) (err error) {
		txt := [][]byte{[]byte("\x03own")}
		on := n/10%2 == 0
		set := func(name string, typ uint16, data [][]byte) {
			if err != nil {
				return
			}
			if on {
				_, err = tx.Put(&Record{Name: wire.MustName(name), Type: typ, TTL: 60, Data: data})
			} else {
				_, err = tx.Delete(wire.MustName(name), typ, 0)
			}
		}
		switch n % 10 {
		case 0, 1, 2:
			_, err = tx.Put(version("stable-3.test", n/10%200))
		case 3:
			_, err = tx.Put(version("stable-17.test", n/10%200))
		case 4:
			set("a.b.c.test", dns.TypeTXT, txt)
		case 5:
			set("at.cut.test", dns.TypeNS, [][]byte{wire.MustName("ns.elsewhere")})
		case 6:
			set(fmt.Sprintf("x%d.ent.test", n%100), dns.TypeTXT, txt)
		case 7: // 5,000 names more, then fewer
			on = n < changes/2
			set(fmt.Sprintf("grow-%d.test", n%(changes/2)), dns.TypeTXT, txt)
		case 8:
			return come(tx, on)
		case 9: // a nearer wildcard
			set("*.b.c.test", dns.TypeTXT, txt)
		}
		return err
	})
}

// come adds or removes the zones "coming" and, so that numbers are shared out
// anew, "going", of other depth.
func come(tx *Tx, on bool) error {
	apexes := []string{"coming", "some.where.going"}
	if !on {
		apexes[0], apexes[1] = apexes[1], apexes[0]
	}
	tx.RemoveZone(wire.MustName(apexes[1]))
	apex := wire.MustName(apexes[0])
	if tx.t.Zone(apex) != nil {
		return nil
	}
	if err := tx.AddZone(apex); err != nil {
		return err
	}
	soa := append(append(wire.MustName("ns"), wire.MustName("h")...), make([]byte, 20)...)
	www := append([]byte("\x03www"), apex...)
	if _, err := tx.Put(&Record{Name: www, Type: dns.TypeTXT, TTL: 60, Data: [][]byte{[]byte("\x03own")}}); err != nil {
		return err
	}
	_, err := tx.Put(&Record{Name: apex, Type: dns.TypeSOA, TTL: 60, Data: [][]byte{soa}})
	return err
}
