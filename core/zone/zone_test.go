package zone

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

func newTable(t testing.TB) *Table {
	t.Helper()
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// ask sends a message through Parse and Answer as a plane would.
func ask(t testing.TB, table *Table, m *dns.Msg) *dns.Msg {
	t.Helper()
	r := table.NewReader()
	defer r.Close()
	return askReader(t, r, m, 4096)
}

// askReader asks for a reply of at most so many octets; 65535 means a stream.
func askReader(t testing.TB, r *Reader, m *dns.Msg, limit int) *dns.Msg {
	t.Helper()
	r.Enter()
	defer r.Leave()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, len(b), 65535)
	copy(data, b)
	var q wire.Query
	if o := q.Parse(data); o != wire.Valid {
		t.Fatalf("parse %v: outcome %d", m.Question, o)
	}
	reply, _ := r.Answer(&q, data, q.Limit(limit == wire.MaxMessage, limit), -1)
	var got dns.Msg
	if err := got.Unpack(reply); err != nil {
		t.Fatalf("reply to %v: %v\n%x", m.Question, err, reply)
	}
	return &got
}

func put(t testing.TB, table *Table, records ...*Record) {
	t.Helper()
	err := table.Update(func(tx *Tx) error {
		for _, rec := range records {
			if _, err := tx.Put(rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
