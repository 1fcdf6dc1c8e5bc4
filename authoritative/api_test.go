package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	teamToken = "0123456789abcdef0123456789abcdef"
	allToken  = "fedcba9876543210fedcba9876543210"
)

// withAPI gives the config of a server with two tokens: one of team-a for a zone, and
// one for all zones.
func withAPI(t *testing.T, endpoint string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "team"), teamToken+"\n")
	write(t, filepath.Join(dir, "all"), allToken)
	return fmt.Sprintf(`
zones: [{name: prd.example.com, source: etcd}, {name: stg.example.com, source: etcd}]
etcd: {endpoints: [%q]}
api:
  tokens:
    - {name: team, file: %s/team, owner: team-a, zones: [prd.example.com]}
    - {name: all, file: %s/all, owner: ops}
`, endpoint, dir, dir)
}

// A call is a request for records.
type call struct {
	method, path, token, body string
	header                    map[string]string
}

// An outcome is what came back.
type outcome struct {
	status int
	header http.Header
	body   string
}

func (n *node) call(c call) outcome {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, c.method, "http://"+n.admin+apiPath+c.path, strings.NewReader(c.body))
	if err != nil {
		n.t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	if len(raw) > 0 && !json.Valid(raw) {
		n.t.Errorf("%s %s: no JSON: %s", c.method, c.path, raw)
	}
	return outcome{resp.StatusCode, resp.Header, string(raw)}
}

// What is refused, with which status, and in which words. Nothing of it changes etcd.
func TestAPIRefuses(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, withAPI(t, endpoint)).awaitReady()
	n.does("records", "add", "there.prd.example.com", "A", "10.0.0.1", "--owner", "team-a")
	n.does("records", "add", "alias.prd.example.com", "CNAME", "there.prd.example.com", "--owner", "team-a")
	n.does("records", "add", "a.stg.example.com", "A", "10.0.0.1", "--owner", "team-a")
	held := n.does("records", "list")
	change := func(more string) string { return `{"changes":[{"op":"set",` + more + `}]}` }
	var many []string
	for i := range 61 {
		many = append(many, fmt.Sprintf(`{"op":"add","name":"h%d.prd.example.com","type":"A","data":["10.0.0.1"]}`, i))
	}
	const there = "/records/there.prd.example.com/A"
	const good = `{"ttl":30,"data":["10.0.0.9"]}`
	for _, tc := range []struct {
		call
		status int
		want   string
	}{
		{call{"GET", "/records", "", "", nil}, 401, "a token is needed"},
		{call{"GET", "/records", teamToken + "x", "", nil}, 401, "a token is needed"},
		{call{"GET", "/records", "", "", map[string]string{"Authorization": "Basic " + teamToken}}, 401, "a token is needed"},
		{call{"PUT", there, "", good, nil}, 401, "a token is needed"},
		{call{"GET", "/records?zone=stg.example.com", teamToken, "", nil}, 403, "token team is not for stg.example.com.; its zones are prd.example.com"},
		{call{"GET", "/records/a.stg.example.com/A", teamToken, "", nil}, 403, "token team is not for"},
		{call{"PUT", "/records/a.stg.example.com/A", teamToken, good, nil}, 403, "token team is not for"},
		{call{"DELETE", "/records/a.stg.example.com/A", teamToken, "", nil}, 403, "token team is not for"},
		{call{"GET", "/history/a.stg.example.com", teamToken, "", nil}, 403, "token team is not for"},
		{call{"PUT", "/records/www.example.net/A", teamToken, good, nil}, 403, "token team is not for"},
		{call{"POST", "/records", teamToken, change(`"name":"a.stg.example.com","type":"A","data":["10.0.0.1"]`), nil}, 403, "changes[0]: token team is not for"},
		{call{"GET", "/records/no.prd.example.com/A", teamToken, "", nil}, 404, "there is no such record"},
		{call{"GET", there + "?owner=other", teamToken, "", nil}, 404, "there is no such record"},
		{call{"DELETE", "/records/no.prd.example.com/A", teamToken, "", nil}, 404, "there is no such record"},
		{call{"PUT", "/records/www.example.net/A", allToken, good, nil}, 404, "in none of the zones kept in etcd: prd.example.com, stg.example.com"},
		{call{"GET", "/history/www.example.net", allToken, "", nil}, 404, "in none of the zones"},
		{call{"GET", "/nothing", teamToken, "", nil}, 404, "nothing is at /api/v1/nothing"},
		{call{"GET", "/records/x", teamToken, "", nil}, 404, "nothing is at"},
		{call{"GET", "", teamToken, "", nil}, 404, "nothing is at"},
		{call{"PATCH", "/records", teamToken, "", nil}, 405, "PATCH is not for /api/v1/records; GET, HEAD, POST are"},
		{call{"POST", there, teamToken, good, nil}, 405, "DELETE, GET, HEAD, PUT are"},
		{call{"PUT", "/history/there.prd.example.com", teamToken, "", nil}, 405, "GET, HEAD are"},
		{call{"PUT", "/records/alias.prd.example.com/A", teamToken, good, nil}, 409, "a CNAME is alone at its name"},
		{call{"PUT", "/records/x.prd.example.com/CNAME", teamToken, `{"data":["a.example.com","b.example.com"]}`, nil}, 409, "a name has but one CNAME"},
		{call{"PUT", there, teamToken, good, map[string]string{"If-Match": `"1"`}}, 412, "and revision 1 was expected; nothing was changed"},
		{call{"PUT", there, teamToken, good, map[string]string{"If-None-Match": "*"}}, 412, "and none was expected"},
		{call{"PUT", "/records/no.prd.example.com/A", teamToken, good, map[string]string{"If-Match": "*"}}, 412, "is not there, and one was expected"},
		{call{"DELETE", there, teamToken, "", map[string]string{"If-Match": `"1"`}}, 412, "and revision 1 was expected"},
		{call{"POST", "/records", teamToken, change(`"name":"there.prd.example.com","type":"A","data":["10.0.0.9"],"if_revision":1`), nil}, 412, "and revision 1 was expected"},
		{call{"PUT", there, teamToken, good, map[string]string{"If-Match": "5"}}, 400, "is not the ETag of a record"},
		{call{"PUT", there, teamToken, good, map[string]string{"If-Match": `W/"5"`}}, 400, "is not the ETag of a record"},
		{call{"PUT", there, teamToken, good, map[string]string{"If-None-Match": `"5"`}}, 400, "If-None-Match of a write is *"},
		{call{"PUT", there, teamToken, `{"data":["` + strings.Repeat("x", maxBody) + `"]}`, nil}, 413, "the body is too large, at most 1048576 octets"},
		{call{"POST", "/records", teamToken, `{"changes":[` + strings.Join(many, ",") + `]}`, nil}, 413, "more than one transaction holds: at most 60 RRsets"},
		{call{"PUT", there, teamToken, `{"ttl":30,"dat":["10.0.0.9"]}`, nil}, 400, `unknown field \"dat\"`},
		{call{"POST", "/records", teamToken, change(`"nam":"x"`), nil}, 400, `unknown field \"nam\"`},
		{call{"PUT", there, teamToken, `{"ttl":"30"}`, nil}, 400, "the body is not what is expected: ttl: found string, expected a whole number"},
		{call{"PUT", there, teamToken, `{"ttl":1.5}`, nil}, 400, "ttl: found number 1.5, expected a whole number"},
		{call{"PUT", there, teamToken, `{"data":"10.0.0.9"}`, nil}, 400, "data: found string, expected a list"},
		{call{"PUT", there, teamToken, `[]`, nil}, 400, "all of it: found array, expected an object"},
		{call{"POST", "/records", teamToken, `{"changes":[{"op":1}]}`, nil}, 400, "op: found number, expected a text"},
		{call{"PUT", there, teamToken, `{"ttl":30`, nil}, 400, "unexpected EOF"},
		{call{"PUT", there, teamToken, good + "{}", nil}, 400, "something follows the value"},
		{call{"PUT", there, teamToken, "", nil}, 400, "the body is not what is expected: EOF"},
		{call{"PUT", there, teamToken, `{"ttl":30}`, nil}, 422, "no data"},
		{call{"PUT", there, teamToken, `{"ttl":-1,"data":["10.0.0.9"]}`, nil}, 422, "ttl -1 is not in 0..2147483647"},
		{call{"PUT", there, teamToken, `{"ttl":2147483648,"data":["10.0.0.9"]}`, nil}, 422, "ttl 2147483648"},
		{call{"PUT", there, teamToken, `{"data":["10.0.0.256"]}`, nil}, 422, "10.0.0.256"},
		{call{"PUT", "/records/a..prd.example.com/A", teamToken, good, nil}, 422, "empty label"},
		{call{"PUT", "/records/there.prd.example.com/AXFR", teamToken, good, nil}, 422, "not a type that records have"},
		{call{"PUT", "/records/prd.example.com/SOA", teamToken, good, nil}, 422, "an SOA is not kept in etcd"},
		{call{"PUT", "/records/prd.example.com/CNAME", teamToken, `{"data":["x.example.com"]}`, nil}, 422, "a CNAME at the zone's apex"},
		{call{"POST", "/records", teamToken, `{"changes":[]}`, nil}, 422, "changes: none"},
		{call{"POST", "/records", teamToken, `{"changes":[{"op":"put","name":"a.prd.example.com","type":"A"}]}`, nil}, 422, `changes[0]: op: \"put\" is unknown; known: add, remove, set`},
		{call{"POST", "/records", teamToken, change(`"name":"a.prd.example.com","type":"A"`), nil}, 422, "changes[0]: set without data"},
		{call{"POST", "/records", allToken, change(`"name":"a.example.net","type":"A","data":["10.0.0.1"]`), nil}, 422, "in none of the zones kept in etcd"},
		{call{"GET", "/records?limit=0", teamToken, "", nil}, 400, "query: limit: 0 is not in 1..1000"},
		{call{"GET", "/records?prefix=x", teamToken, "", nil}, 400, `query: \"prefix\" is unknown; known: zone,`},
		{call{"GET", "/records?after=x", teamToken, "", nil}, 400, "not the next of a page"},
		{call{"GET", "/records?after=MSB4", teamToken, "", nil}, 400, "no place where a page ended"},
		{call{"GET", "/records?zone=prd.example.com&name=x", teamToken, "", nil}, 400, "exclude each other"},
		{call{"GET", "/records?zone=a&zone=b", teamToken, "", nil}, 400, "zone stands twice"},
		{call{"GET", "/records?zone=example.net", allToken, "", nil}, 404, "in none of the zones kept in etcd"},
		{call{"GET", there + "?owner=a&owner=b", teamToken, "", nil}, 400, "owner stands twice"},
		{call{"GET", there + "?type=A", teamToken, "", nil}, 400, `query: \"type\" is unknown; known: owner`},
		{call{"PUT", there + "?owner=other", teamToken, good, nil}, 400, `query: \"owner\" is unknown; there is none of this`},
		{call{"DELETE", there + "?owner=other", teamToken, "", nil}, 400, `query: \"owner\" is unknown`},
		{call{"POST", "/records?owner=other", teamToken, change(`"name":"a.prd.example.com","type":"A","data":["10.0.0.1"]`), nil}, 400, `query: \"owner\" is unknown`},
		{call{"GET", "/history/there.prd.example.com?after=1", teamToken, "", nil}, 400, `query: \"after\" is unknown`},
		{call{"PUT", there, teamToken, `{"data":["10.0.0.9"],"probe":"gopher:70"}`, nil}, 422, `probe: \"gopher:70\": not a way to probe`},
		{call{"PUT", "/records/there.prd.example.com/TXT", teamToken, `{"data":["x"],"probe":"icmp"}`, nil}, 422, "probe is for addresses, and TXT records have none"},
		{call{"POST", "/records", teamToken, change(`"name":"a.prd.example.com","type":"A","data":["10.0.0.1"],"probe":"tcp"`), nil}, 422, "changes[0]: probe:"},
	} {
		got := n.call(tc.call)
		if got.status != tc.status || !strings.Contains(got.body, tc.want) {
			t.Errorf("%s %s %.80s %v: %d %s, want %d with %q", tc.method, tc.path, tc.body, tc.header, got.status, got.body, tc.status, tc.want)
		}
		switch h := got.header; {
		case tc.status == 401 && !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer "):
			t.Errorf("%s %s: no WWW-Authenticate", tc.method, tc.path)
		case tc.status == 405 && (h.Get("Allow") == "" || !strings.Contains(tc.want, h.Get("Allow"))):
			t.Errorf("%s %s: Allow %q", tc.method, tc.path, h.Get("Allow"))
		}
	}
	if got := n.does("records", "list"); got != held {
		t.Errorf("something was changed:\n%s, was\n%s", got, held)
	}
	if n.metric(`strata_api_requests_total{code="401",token="none"}`) != "4" {
		t.Errorf("metrics: %s", n.metric(`strata_api_requests_total{code="401",token="none"}`))
	}
	if log := n.log.String(); strings.Contains(log, teamToken) || strings.Contains(log, allToken) {
		t.Error("a secret is in the log")
	}
}

// Without tokens the API says that it is off, and nothing else.
func TestAPIOff(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, fmt.Sprintf("zones: [{name: prd.example.com, source: etcd}]\netcd: {endpoints: [%q]}\n", endpoint)).awaitReady()
	for _, c := range []call{{"GET", "/records", teamToken, "", nil}, {"PUT", "/records/a.prd.example.com/A", "", "{}", nil}} {
		if got := n.call(c); got.status != 404 || !strings.Contains(got.body, "the records API is off: the config has no api.tokens") {
			t.Errorf("%v: %+v", c, got)
		}
	}
}

// Records are put, read, replaced under a condition and removed; each token writes its
// own owner's, and the answers follow.
func TestAPIRecords(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, withAPI(t, endpoint)).awaitReady()
	const path = "/records/www.prd.example.com./A"
	is := func(what string, got outcome, status int, holds ...string) {
		t.Helper()
		if got.status != status {
			t.Fatalf("%s: %+v, want %d", what, got, status)
		}
		for _, want := range holds {
			if !strings.Contains(got.body, want) {
				t.Fatalf("%s: %s, want %s", what, got.body, want)
			}
		}
	}
	made := n.call(call{"PUT", path, teamToken, `{"ttl":30,"data":["10.0.0.1","10.0.0.2"]}`, map[string]string{"If-None-Match": "*"}})
	is("put", made, 201, `"name":"www.prd.example.com."`, `"owner":"team-a"`, `"ttl":30`, `"data":["10.0.0.1","10.0.0.2"]`)
	n.answers("www.prd.example.com", dns.TypeA, "10.0.0.1, 10.0.0.2")
	got := n.call(call{"GET", "/records/WWW.prd.example.com/a", teamToken, "", nil})
	is("get", got, 200, `"data":["10.0.0.1","10.0.0.2"]`)
	tag := got.header.Get("ETag")
	if tag == "" || tag != made.header.Get("ETag") {
		t.Errorf("ETag %q, was %q", tag, made.header.Get("ETag"))
	}
	is("not modified", n.call(call{"GET", path, teamToken, "", map[string]string{"If-None-Match": tag}}), 304)
	is("head", n.call(call{"HEAD", path, teamToken, "", nil}), 200)
	same := n.call(call{"PUT", path, teamToken, `{"ttl":30,"data":["10.0.0.2","10.0.0.1"]}`, nil})
	if is("the same", same, 200); same.header.Get("ETag") != tag {
		t.Errorf("what is right already was written: ETag %s, was %s", same.header.Get("ETag"), tag)
	}
	put := n.call(call{"PUT", path, teamToken, `{"data":["10.0.0.3"]}`, map[string]string{"If-Match": tag}})
	is("if it is as it was", put, 200, `"ttl":300`)
	stale := n.call(call{"PUT", path, teamToken, `{"data":["10.0.0.4"]}`, map[string]string{"If-Match": tag}})
	is("and once more", stale, 412, `"revision":`+strings.Trim(put.header.Get("ETag"), `"`))
	is("another owner", n.call(call{"PUT", path, allToken, `{"data":["10.0.0.9"],"probe":"none"}`, nil}), 201, `"owner":"ops"`, `"data":["10.0.0.9"],"revision"`)
	n.answers("www.prd.example.com", dns.TypeA, "10.0.0.3, 10.0.0.9")
	is("both owners'", n.call(call{"GET", path + "?owner=ops", teamToken, "", nil}), 200, "10.0.0.9")
	is("remove", n.call(call{"DELETE", path, teamToken, "", map[string]string{"If-Match": put.header.Get("ETag")}}), 200, `"deleted":1`)
	n.answers("www.prd.example.com", dns.TypeA, "10.0.0.9")

	is("odd names", n.call(call{"PUT", "/records/0%2F25.prd.example.com/PTR", teamToken, `{"data":["a.example.com"]}`, nil}), 201, `"name":"0/25.prd.example.com."`)
	is("wildcard", n.call(call{"PUT", "/records/*.w.prd.example.com/TXT", teamToken, `{"data":["\"a; b\""]}`, nil}), 201)
	n.answers("x.w.prd.example.com", dns.TypeTXT, `"a; b"`)

	history := n.call(call{"GET", "/history/www.prd.example.com", teamToken, "", nil})
	is("history", history, 200, `"from":1`, `"change":"deleted"`, `"owner":"ops"`)
	if log := n.log.String(); !strings.Contains(log, "records changed over HTTP") || !strings.Contains(log, "token=team owner=team-a") {
		t.Errorf("the log says nothing of changes:\n%s", log)
	}
}

// A batch is made as a whole, on what it expects, or not at all.
func TestAPIBatch(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, withAPI(t, endpoint)).awaitReady()
	post := func(body string) (outcome, resultJSON) {
		t.Helper()
		got := n.call(call{"POST", "/records", teamToken, body, nil})
		var res resultJSON
		if got.status == 200 {
			if err := json.Unmarshal([]byte(got.body), &res); err != nil {
				t.Fatal(err)
			}
		}
		return got, res
	}
	got, res := post(`{"changes":[
		{"op":"add","name":"a.prd.example.com","type":"A","ttl":60,"data":["10.0.0.1"]},
		{"op":"add","name":"a.prd.example.com","type":"A","data":["10.0.0.2"],"if_revision":0},
		{"op":"set","name":"b.prd.example.com","type":"AAAA","data":["2001:db8::1"]}]}`)
	if got.status != 200 || res.Written != 2 || len(res.Revisions) != 3 || res.Revisions[0] != res.Revision {
		t.Fatal(got)
	}
	n.answers("a.prd.example.com", dns.TypeA, "10.0.0.1, 10.0.0.2")
	before := n.does("records", "list")
	if !strings.Contains(before, "a.prd.example.com.\t60\t") || strings.Contains(before, "a.prd.example.com.\t300\t") {
		t.Errorf("who adds without a TTL leaves it alone:\n%s", before)
	}
	if got, _ := post(`{"changes":[
		{"op":"remove","name":"a.prd.example.com","type":"A"},
		{"op":"add","name":"b.prd.example.com","type":"CNAME","data":["x.example.com"]}]}`); got.status != 409 {
		t.Error(got)
	}
	if after := n.does("records", "list"); after != before {
		t.Errorf("half of a batch was made:\n%s", after)
	}
	got, res = post(fmt.Sprintf(`{"changes":[
		{"op":"remove","name":"a.prd.example.com","type":"A","data":["10.0.0.1"],"if_revision":%d},
		{"op":"remove","name":"b.prd.example.com","type":"AAAA"}]}`, res.Revision))
	if got.status != 200 || res.Written != 1 || res.Deleted != 1 || !slices.Equal(res.Revisions, []int64{res.Revision, 0}) {
		t.Error(got)
	}
	n.answers("a.prd.example.com", dns.TypeA, "10.0.0.2")
	n.answers("b.prd.example.com", dns.TypeAAAA, "NXDOMAIN")
}

// Pages of a list are of one revision and hold all that is asked for.
func TestAPIList(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	n := serve(t, withAPI(t, endpoint)).awaitReady()
	for i := range 7 {
		n.does("records", "add", fmt.Sprintf("h%d.prd.example.com", i), "A", "10.0.0.1", "--owner", []string{"x", "y"}[i%2])
		n.does("records", "add", fmt.Sprintf("h%d.stg.example.com", i), "A", "10.0.0.2")
	}
	names := func(token, query string) (names []string) {
		t.Helper()
		var revision int64
		for after := ""; ; {
			got := n.call(call{"GET", "/records?limit=3&" + query + after, token, "", nil})
			var page struct {
				Revision int64
				Records  []recordJSON
				Next     string
			}
			if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 || len(page.Records) > 3 {
				t.Fatal(got, err)
			}
			if revision != 0 && page.Revision != revision {
				t.Errorf("revision %d, then %d", revision, page.Revision)
			}
			revision = page.Revision
			for _, rec := range page.Records {
				names = append(names, rec.Name)
			}
			if page.Next == "" {
				return names
			}
			after = "&after=" + page.Next
			n.does("records", "add", fmt.Sprintf("later%d.prd.example.com", len(names)), "TXT", "x", "--owner", "later")
			defer n.does("records", "remove", fmt.Sprintf("later%d.prd.example.com", len(names)), "TXT", "--owner", "later")
		}
	}
	for _, tc := range []struct {
		token, query string
		want         int
	}{
		{teamToken, "", 7}, {allToken, "", 14}, {allToken, "zone=stg.example.com", 7}, {teamToken, "owner=x", 4},
		{teamToken, "name=h1.prd.example.com", 1}, {allToken, "under=example.com&type=A", 14}, {allToken, "type=TXT", 0},
		{teamToken, "under=h1.prd.example.com", 1},
	} {
		if got := names(tc.token, tc.query); len(got) != tc.want || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%s: %q, want %d", tc.query, got, tc.want)
		}
	}
}

// Many add to one name at once, at two servers, and nothing is lost.
func TestAPIAtOnce(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	one, two := serve(t, withAPI(t, endpoint)).awaitReady(), serve(t, withAPI(t, endpoint)).awaitReady()
	var want []string
	var wait sync.WaitGroup
	for i := range 24 { // as many as an answer of 512 octets holds
		address := fmt.Sprintf("10.0.1.%d", i)
		want = append(want, address)
		wait.Go(func() {
			at := []*node{one, two}[i%2]
			for {
				got := at.call(call{"POST", "/records", teamToken, fmt.Sprintf(`{"changes":[{"op":"add","name":"busy.prd.example.com","type":"A","data":[%q]}]}`, address), nil})
				if got.status == 200 {
					return
				}
				if got.status != 409 { // told so, and therefore not lost
					t.Errorf("%s: %+v", address, got)
					return
				}
			}
		})
	}
	wait.Wait()
	slices.Sort(want)
	one.answers("busy.prd.example.com", dns.TypeA, strings.Join(want, ", "))
	two.answers("busy.prd.example.com", dns.TypeA, strings.Join(want, ", "))
}

// Without etcd writes and reads fail with 503 and when to ask again, and answers go on.
func TestAPIWithoutEtcd(t *testing.T) {
	t.Parallel()
	endpoint, m := etcd(t)
	n := serve(t, withAPI(t, endpoint)).awaitReady()
	n.does("records", "add", "a.prd.example.com", "A", "10.0.0.1")
	n.answers("a.prd.example.com", dns.TypeA, "10.0.0.1")
	stopMember(t, m)
	var wait sync.WaitGroup
	for _, c := range []call{
		{"GET", "/records", teamToken, "", nil}, {"GET", "/records/a.prd.example.com/A", teamToken, "", nil},
		{"PUT", "/records/a.prd.example.com/A", teamToken, `{"data":["10.0.0.2"]}`, nil},
		{"DELETE", "/records/a.prd.example.com/A", teamToken, "", nil}, {"GET", "/history/a.prd.example.com", teamToken, "", nil},
		{"POST", "/records", teamToken, `{"changes":[{"op":"add","name":"a.prd.example.com","type":"A","data":["10.0.0.2"]}]}`, nil},
	} {
		wait.Go(func() {
			got := n.call(c)
			if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "etcd has no leader or did not answer") {
				t.Errorf("%s %s: %+v", c.method, c.path, got)
			}
		})
	}
	wait.Wait()
	n.answers("a.prd.example.com", dns.TypeA, "10.0.0.1")
}

// Tokens are taken anew on a reload; a file that is no token leaves those there are.
func TestAPIReload(t *testing.T) {
	t.Parallel()
	endpoint, _ := etcd(t)
	config := withAPI(t, endpoint)
	n := serve(t, config).awaitReady()
	_, rest, _ := strings.Cut(config, "name: team, file: ")
	path, _, _ := strings.Cut(rest, ",")
	status := func(token string) int { return n.call(call{"GET", "/records", token, "", nil}).status }
	const fresh = "another-secret-that-is-long"
	write(t, path, "short")
	if said := n.fails("ctl", "reload"); !strings.Contains(said, "api.tokens[0].file: "+path+": a token has at least 20 octets") {
		t.Error(said)
	}
	if status(teamToken) != 200 {
		t.Error("a bad file took the token away")
	}
	write(t, path, fresh)
	n.does("ctl", "reload")
	if status(teamToken) != 401 || status(fresh) != 200 || status(allToken) != 200 {
		t.Error(status(teamToken), status(fresh), status(allToken))
	}
	write(t, path, allToken)
	if said := n.fails("ctl", "reload"); !strings.Contains(said, "the same secret as that of team") && !strings.Contains(said, "holds the same secret") {
		t.Error(said)
	}
}

// What a server would not start with.
func TestAPIConfig(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	for want, config := range map[string]string{
		"api.tls: cert and key go together":                                  "api: {tls: {cert: x}}",
		"api.tokens: no zone has source etcd":                                "api: {tokens: [{name: a, file: b, owner: c}]}",
		"api.tokens[0].name: missing":                                        "etcd: {endpoints: [\"http://127.0.0.1:1\"]}\nzones: [{name: example.com, source: etcd}]\napi: {tokens: [{file: b, owner: c}]}",
		"api.tokens[0].owner: found 0 octets, expected 1 to 255":             "api: {tokens: [{name: a, file: b}]}",
		"api.tokens[0].zones[0]: example.net. is in none of the zones":       "api: {tokens: [{name: a, file: b, owner: c, zones: [example.net]}]}",
		`api.tokens[1].name: "a" stands twice`:                               "api: {tokens: [{name: a, file: b, owner: c}, {name: a, file: b, owner: c}]}",
		"api.tokens: the API is on the admin address, and admin is off":      "admin: \"\"\napi: {tokens: [{name: a, file: b, owner: c}]}",
		"owner external-dns is that of the records below etcd.skydns":        "etcd: {endpoints: [\"http://127.0.0.1:1\"], skydns: [{prefix: /skydns}]}\nzones: [{name: example.com, source: etcd}]\napi: {tokens: [{name: a, file: b, owner: external-dns}]}",
		"etcd.skydns[0].prefix: \"skydns\"; it begins with a slash":          "etcd: {skydns: [{prefix: skydns}]}",
		"etcd.skydns[0].prefix: /strata and /strata/v1 overlap":              "etcd: {skydns: [{prefix: /strata}]}",
		"etcd.skydns[1].prefix: /skydns/x and /skydns overlap":               "etcd: {skydns: [{prefix: /skydns}, {prefix: /skydns/x}]}",
		"etcd.skydns[0].zones[0]: example.net. is in none of the zones kept": "etcd: {skydns: [{prefix: /skydns, zones: [example.net]}]}",
		"api.tokens[0].tokn: unknown key":                                    "api: {tokens: [{tokn: a}]}",
	} {
		if !strings.Contains(config, "zones: [{") {
			config += "\nzones: [{name: example.org, source: file, file: ../configs/zones/example.org.zone}]"
		}
		write(t, path, config+"\n")
		var out, errs bytes.Buffer
		if status := run(t.Context(), []string{"check", "--config", path}, &out, &errs); status != 1 || !strings.Contains(out.String()+errs.String(), want) {
			t.Errorf("%d, %s%s, want %q", status, out.String(), errs.String(), want)
		}
	}
}
