package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/strata-dns/strata/authoritative/store"
	"github.com/strata-dns/strata/core/wire"
)

// A recordJSON is a record as it is given and taken in JSON.
type recordJSON struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Owner    string   `json:"owner"`
	TTL      uint32   `json:"ttl"`  // seconds
	Data     []string `json:"data"` // as in a master file, names absolute
	Probe    string   `json:"probe,omitempty"`
	Revision int64    `json:"revision,omitempty"` // etcd's, of the last change
}

func jsonOf(rec store.Record, revision int64) (recordJSON, error) {
	text, err := rec.Text()
	return recordJSON{
		Name: wire.NameString(rec.Name), Type: store.TypeString(rec.Type), Owner: rec.Owner,
		TTL: rec.TTL, Data: text, Probe: rec.Probe, Revision: revision,
	}, err
}

// Limits of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// list answers the records of the token's zones, page by page.
func (a *api) list(r *request) (reply, error) {
	q, err := r.pageQuery()
	if err != nil {
		return reply{}, err
	}
	page, err := a.client.Page(r.Context(), q)
	if err != nil {
		return reply{}, err
	}
	body := struct {
		Revision int64        `json:"revision"` // etcd's, that all pages are of
		Records  []recordJSON `json:"records"`
		Next     string       `json:"next,omitempty"` // ?after= for the next page; none: this is the last
	}{Revision: page.Revision, Records: []recordJSON{}}
	for _, rec := range page.Records {
		j, err := jsonOf(rec.Record, rec.Revision)
		if err != nil {
			return reply{}, err
		}
		body.Records = append(body.Records, j)
	}
	if page.Next != (store.Place{}) {
		body.Next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", page.Next.Revision, page.Next.Key))
	}
	return reply{status: http.StatusOK, body: body}, nil
}

// pageQuery reads what a list is asked for.
func (r *request) pageQuery() (q store.PageQuery, err error) {
	q = store.PageQuery{Under: []byte{0}, Limit: defaultPage}
	var typ uint16
	var exact []byte
	for key := range r.query {
		value := r.query.Get(key)
		switch key {
		case "zone", "under", "name":
			if q.Under, err = wire.ParseName(value); key == "name" {
				exact = q.Under
			}
		case "owner":
		case "type":
			typ, err = store.ParseType(value)
		case "limit":
			if q.Limit, err = strconv.Atoi(value); err == nil && (q.Limit < 1 || q.Limit > maxPage) {
				err = fmt.Errorf("%d is not in 1..%d", q.Limit, maxPage)
			}
		case "after":
			q.After, err = placeOf(value)
		}
		if err != nil {
			return q, refuse(http.StatusBadRequest, "query: %s: %v", key, err)
		}
	}
	if r.query.Has("zone") && (r.query.Has("under") || r.query.Has("name")) || r.query.Has("under") && r.query.Has("name") {
		return q, refuse(http.StatusBadRequest, "query: zone, under and name exclude each other")
	}
	if err := r.mayRead(q.Under); err != nil {
		return q, err
	}
	if r.query.Has("zone") || r.query.Has("name") {
		if _, err := r.conf.etcdZone(q.Under); err != nil {
			return q, refuse(http.StatusNotFound, "%v", err)
		}
	}
	owner := r.query.Get("owner")
	q.Keep = func(rec store.Record) bool {
		return r.by.may(rec.Name) && (owner == "" || rec.Owner == owner) && (typ == 0 || rec.Type == typ) &&
			(exact == nil || string(exact) == string(rec.Name))
	}
	return q, nil
}

// mayRead refuses to look where none of the token's zones is, neither around nor below.
func (r *request) mayRead(under []byte) error {
	if r.by.may(under) {
		return nil
	}
	for _, zone := range r.by.zones {
		if wire.IsSubdomain(zone, under) {
			return nil
		}
	}
	return r.forbidden(under)
}

func (r *request) forbidden(name []byte) error {
	return refuse(http.StatusForbidden, "token %s is not for %s; its zones are %s", r.by.Name, wire.NameString(name), strings.Join(r.by.Zones, ", "))
}

var errPlace = errors.New("not the next of a page")

func placeOf(text string) (p store.Place, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return p, errPlace
	}
	revision, key, ok := strings.Cut(string(raw), " ")
	p.Key = key
	if p.Revision, err = strconv.ParseInt(revision, 10, 64); err != nil || !ok || p.Revision <= 0 {
		return p, errPlace
	}
	return p, nil
}

// record reads NAME/TYPE of the path, as an owner's.
func (r *request) record(owner string) (store.Record, error) {
	rec, err := r.conf.newRecord(owner, r.path[0], r.path[1], 0, nil)
	switch {
	case errors.Is(err, errNotKept):
		if rec.Name != nil && !r.by.may(rec.Name) {
			return rec, r.forbidden(rec.Name)
		}
		return rec, refuse(http.StatusNotFound, "%v", err)
	case err != nil:
		return rec, refuse(http.StatusUnprocessableEntity, "%v", err)
	case !r.by.may(rec.Name):
		return rec, r.forbidden(rec.Name)
	}
	return rec, nil
}

// get answers what one owner, the token's if no other is asked for, has at a name.
func (a *api) get(r *request) (reply, error) {
	owner := r.query.Get("owner")
	if owner == "" {
		owner = r.by.Owner
	}
	rec, err := r.record(owner)
	if err != nil {
		return reply{}, err
	}
	got, err := a.client.Get(r.Context(), rec.Name, rec.Type, rec.Owner)
	if err != nil {
		return reply{}, err
	}
	if r.Header.Get("If-None-Match") == etag(got.Revision) {
		return reply{status: http.StatusNotModified, revision: got.Revision}, nil
	}
	body, err := jsonOf(got.Record, got.Revision)
	return reply{http.StatusOK, got.Revision, body}, err
}

// A valueJSON is what a name shall have.
type valueJSON struct {
	TTL   *int64   `json:"ttl"` // seconds; none: defaultTTL
	Data  []string `json:"data"`
	Probe string   `json:"probe"`
}

// put makes an RRset of the token's owner what the body says.
func (a *api) put(r *request) (reply, error) {
	if _, err := r.record(r.by.Owner); err != nil { // who may not learns nothing of the body
		return reply{}, err
	}
	var v valueJSON
	if err := decode(r, &v); err != nil {
		return reply{}, err
	}
	rec, err := v.record(r, r.path[0], r.path[1])
	if err != nil {
		return reply{}, refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	expected, err := r.expected(rec)
	if err != nil {
		return reply{}, err
	}
	res, steps, err := a.client.WriteTogether(r.Context(), expected, store.Edit{Op: store.Set, Record: rec})
	if err != nil {
		return reply{}, err
	}
	a.say(r, res, rec.String())
	if rec.Probe == store.NoProbe { // as it is kept
		rec.Probe = ""
	}
	body, err := jsonOf(rec, steps[0].To)
	status := http.StatusOK
	if steps[0].From == store.Absent {
		status = http.StatusCreated
	}
	return reply{status, steps[0].To, body}, err
}

// record makes a record of the token's owner.
func (v *valueJSON) record(r *request, name, typ string) (store.Record, error) {
	ttl := int64(defaultTTL)
	if v.TTL != nil {
		ttl = *v.TTL
	}
	if ttl < 0 || ttl > store.MaxTTL {
		return store.Record{}, fmt.Errorf("ttl %d is not in 0..%d (RFC 2181 §8)", ttl, store.MaxTTL)
	}
	rec, err := r.conf.newRecord(r.by.Owner, name, typ, uint32(ttl), v.Data)
	if err == nil {
		err = takeProbe(&rec, v.Probe)
	}
	return rec, err
}

// expected reads If-Match and If-None-Match of a write (RFC 9110 §13.1).
func (r *request) expected(rec store.Record) ([]store.Expected, error) {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case match != "" && none != "":
		return nil, refuse(http.StatusBadRequest, "If-Match and If-None-Match exclude each other")
	case none == "*":
		return []store.Expected{{Record: rec, Revision: store.Absent}}, nil
	case none != "":
		return nil, refuse(http.StatusBadRequest, "If-None-Match of a write is *: that there is no such record yet")
	case match == "":
		return nil, nil
	case match == "*":
		return []store.Expected{{Record: rec, Revision: store.Present}}, nil
	}
	revision, err := strconv.ParseInt(strings.Trim(match, `"`), 10, 64)
	if err != nil || revision <= 0 || match != etag(revision) {
		return nil, refuse(http.StatusBadRequest, `If-Match: %s is not the ETag of a record, such as "123", nor *`, match)
	}
	return []store.Expected{{Record: rec, Revision: revision}}, nil
}

// remove takes away an RRset of the token's owner.
func (a *api) remove(r *request) (reply, error) {
	rec, err := r.record(r.by.Owner)
	if err != nil {
		return reply{}, err
	}
	expected, err := r.expected(rec)
	if err != nil {
		return reply{}, err
	}
	conditional := len(expected) > 0
	if !conditional {
		expected = []store.Expected{{Record: rec, Revision: store.Present}}
	}
	res, _, err := a.client.WriteTogether(r.Context(), expected, store.Edit{Op: store.Remove, Record: rec})
	if errors.Is(err, store.ErrRevision) && !conditional {
		return reply{}, refuse(http.StatusNotFound, "%s: %v", rec, store.ErrNone)
	}
	if err != nil {
		return reply{}, err
	}
	a.say(r, res, rec.String())
	return reply{status: http.StatusOK, body: resultOf(res, nil)}, nil
}

// say puts a change into the log: who, what, from where.
func (a *api) say(r *request, res store.Result, what string) {
	if res.Changed() {
		a.log.Info("records changed over HTTP", "token", r.by.Name, "owner", r.by.Owner, "client", r.RemoteAddr,
			"what", what, "written", res.Written, "deleted", res.Deleted, "revision", res.Revision)
	}
}
