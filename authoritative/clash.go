package main

import (
	"errors"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// What no owner may have in a zone from etcd, whose SOA the server makes.
var (
	errSOA       = errors.New("an SOA is not kept in etcd: each server makes it, with etcd's revision as the serial")
	errApexCNAME = errors.New("a CNAME at the zone's apex, which has an SOA and NS (RFC 1034 §3.6.2)")
)

func unfit(apex, name []byte, typ uint16) error {
	switch {
	case typ == dns.TypeSOA:
		return errSOA
	case typ == dns.TypeCNAME && string(apex) == string(name):
		return errApexCNAME
	}
	return nil
}

// besideAlias are types that owners give to names that another one has a CNAME at.
var besideAlias = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeSRV, dns.TypeMX, dns.TypeNS, dns.TypePTR,
	dns.TypeHTTPS, dns.TypeSVCB, dns.TypeCAA, dns.TypeDNAME,
}

// report says that two owners disagree on whether a name is an alias, or of what.
// Whoever came first, all servers answer the same: the other type for itself, the
// CNAME for all else; of two CNAMEs that of the lower number (see owners).
func (s *sink) report(tx *zone.Tx, rec *store.Record, src zone.Source) {
	said := "the other type is answered for itself, the CNAME for all else"
	found := false
	if rec.Type == dns.TypeCNAME {
		s.aliases = true
		for _, typ := range besideAlias {
			found = found || tx.HeldByOthers(rec.Name, typ, src)
		}
		if !found && tx.HeldByOthers(rec.Name, dns.TypeCNAME, src) {
			found, said = true, "one of the CNAMEs is answered, the same at all servers"
		}
	} else {
		found = s.aliases && tx.HeldByOthers(rec.Name, dns.TypeCNAME, src)
	}
	if !found {
		return
	}
	s.clashes.Add(1)
	s.log.Warn("owners disagree: a CNAME is alone at its name", "name", wire.NameString(rec.Name),
		"record", rec.String(), "answered", said)
}
