package resolver

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/cache"
	"github.com/strata-dns/strata/core/daemon/control"
	"github.com/strata-dns/strata/core/wire"
)

// A dumped is one entry as `ctl dump` writes it: a line of JSON each, or a comment
// and the records in master-file form.
type dumped struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Rcode   string   `json:"rcode"`
	TTL     float64  `json:"ttl_seconds"` // left; negative where expired
	Age     float64  `json:"age_seconds"`
	Bytes   int      `json:"bytes"`
	Failure bool     `json:"failure,omitempty"`
	View    string   `json:"view,omitempty"` // the clients whose view it is, where that is not everybody's
	Records []string `json:"records,omitempty"`
}

var errDump = errors.New("dump what? `dump`, or `dump --under ZONE`")

func (r *Resolver) dumpCommand(_ context.Context, call *control.Call) error {
	zone, _ := call.Flags.GetString("under")
	words := call.Args
	if len(words) == 2 && words[0] == "under" {
		words = words[1:]
	}
	if len(words) == 1 && zone == "" {
		zone, words = words[0], nil
	}
	if len(words) > 0 {
		return errDump
	}
	under, err := wire.ParseName(cmp.Or(zone, "."))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(call)
	for item := range r.cache.Dump() {
		if !wire.IsSubdomain(item.Name, under) {
			continue
		}
		d, err := r.describe(&item)
		if err != nil {
			return err
		}
		if call.JSON {
			err = json.NewEncoder(out).Encode(d)
		} else {
			err = d.write(out)
		}
		if err != nil { // who asked is gone
			return err
		}
	}
	return out.Flush()
}

func (r *Resolver) describe(item *cache.Item) (*dumped, error) {
	d := &dumped{
		Name: wire.NameString(item.Name), Type: dns.Type(item.Type).String(), Rcode: dns.RcodeToString[item.Rcode],
		TTL: item.TTL.Round(time.Second).Seconds(), Age: item.Stored.Round(time.Second).Seconds(),
		Bytes: item.Bytes, Failure: item.Failure, View: r.rules.Load().Views.Name(item.View),
	}
	var m dns.Msg
	if err := m.Unpack(item.Message); err != nil {
		return nil, fmt.Errorf("read our own entry for %s: %w", d.Name, err)
	}
	for _, rr := range append(m.Answer, m.Ns...) {
		d.Records = append(d.Records, rr.String())
	}
	return d, nil
}

// write writes an entry for people.
func (d *dumped) write(w io.Writer) error {
	more := ""
	if d.Failure {
		more = ", a failure"
	}
	if d.View != "" {
		more += ", in the view of " + d.View
	}
	_, err := fmt.Fprintf(w, "; %s %s %s, TTL %gs, stored %gs ago, %d octets%s\n", d.Name, d.Type, d.Rcode, d.TTL, d.Age, d.Bytes, more)
	for _, rr := range d.Records {
		if err == nil {
			_, err = fmt.Fprintln(w, rr)
		}
	}
	return err
}
