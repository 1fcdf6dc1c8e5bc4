package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/strata-dns/strata/authoritative/store"
)

const (
	apiPath = "/api/v1"
	// maxBody is the largest body taken, in octets: some times what one transaction of
	// etcd may hold.
	maxBody = 1 << 20
	// retryAfter is when to ask again while etcd is away, in seconds.
	retryAfter = "2"
)

// An apiError is an answer that is none of success.
type apiError struct {
	status int
	text   string
}

func (e *apiError) Error() string { return e.text }

func refuse(status int, format string, args ...any) error {
	return &apiError{status, fmt.Sprintf(format, args...)}
}

// A request is one that carries a token.
type request struct {
	*http.Request
	*apiConfig
	by    *bearer
	path  []string // below apiPath/<collection>
	query url.Values
}

// A reply is what is answered in JSON, with the ETag of a record's revision.
type reply struct {
	status   int
	revision int64 // 0: no ETag
	body     any   // nil: none
}

type handler func(*api, *request) (reply, error)

// A route is what is done, and what the query may say.
type route struct {
	do    handler
	query []string
}

// routes are what there is: by collection and number of parts behind it.
var routes = map[string]map[string]route{
	"records/0": {"GET": {(*api).list, []string{"zone", "under", "name", "type", "owner", "limit", "after"}}, "POST": {do: (*api).batch}},
	"records/2": {"GET": {(*api).get, []string{"owner"}}, "PUT": {do: (*api).put}, "DELETE": {do: (*api).remove}},
	"history/1": {"GET": {do: (*api).history}},
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := a.now.Load()
	by := now.bearerOf(r)
	answer, err := a.answer(w, r, now, by)
	if err != nil {
		answer = a.fault(w, r, err)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if answer.revision > 0 {
		h.Set("ETag", etag(answer.revision))
	}
	name := "none"
	if by != nil {
		name = by.Name
	}
	a.requests.WithLabelValues(name, strconv.Itoa(answer.status)).Inc()
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(answer.status)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	_ = out.Encode(answer.body) // an asker that left needs no answer
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// answer finds who asks and what for, in this order: who may not know learns nothing.
func (a *api) answer(w http.ResponseWriter, r *http.Request, now *apiConfig, by *bearer) (reply, error) {
	if len(now.bearers) == 0 {
		return reply{}, refuse(http.StatusNotFound, "the records API is off: the config has no api.tokens")
	}
	if by == nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="strata records"`)
		return reply{}, refuse(http.StatusUnauthorized, "a token is needed that is one of api.tokens: Authorization: Bearer …")
	}
	collection, path, err := parts(r.URL)
	if err != nil {
		return reply{}, err
	}
	methods := routes[collection+"/"+strconv.Itoa(len(path))]
	if methods == nil {
		return reply{}, refuse(http.StatusNotFound, "nothing is at %s; there are %[2]s/records, %[2]s/records/NAME/TYPE and %[2]s/history/NAME", r.URL.Path, apiPath)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	what, ok := methods[method]
	if !ok {
		w.Header().Set("Allow", allowed(methods))
		return reply{}, refuse(http.StatusMethodNotAllowed, "%s is not for %s; %s are", r.Method, r.URL.Path, allowed(methods))
	}
	values, err := what.values(r.URL)
	if err != nil {
		return reply{}, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return what.do(a, &request{r, now, by, path, values})
}

// values reads a query that holds nothing unknown: who asks for another owner's record
// to be written must not be answered as if that were done.
func (r route) values(u *url.URL) (url.Values, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "query: %v", err)
	}
	for key, all := range values {
		switch {
		case !slices.Contains(r.query, key) && len(r.query) == 0:
			return nil, refuse(http.StatusBadRequest, "query: %q is unknown; there is none of this", key)
		case !slices.Contains(r.query, key):
			return nil, refuse(http.StatusBadRequest, "query: %q is unknown; known: %s", key, strings.Join(r.query, ", "))
		case len(all) > 1:
			return nil, refuse(http.StatusBadRequest, "query: %s stands twice", key)
		}
	}
	return values, nil
}

func allowed(methods map[string]route) string {
	var names []string
	for name := range methods {
		if names = append(names, name); name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// parts cuts a path before it is unescaped: labels may have slashes (RFC 2317 §4).
func parts(u *url.URL) (collection string, path []string, err error) {
	rest := strings.Trim(strings.TrimPrefix(u.EscapedPath(), apiPath), "/")
	for i, part := range strings.Split(rest, "/") {
		if part, err = url.PathUnescape(part); err != nil {
			return "", nil, refuse(http.StatusBadRequest, "path: %v", err)
		}
		if i == 0 {
			collection = part
		} else {
			path = append(path, part)
		}
	}
	return collection, path, nil
}

// fault gives the answer to what went wrong.
func (a *api) fault(w http.ResponseWriter, r *http.Request, err error) reply {
	body := struct {
		Error    string `json:"error"`
		Revision *int64 `json:"revision,omitempty"` // of what is there instead; 0: nothing is
	}{Error: excerpt(err.Error())}
	status := statusOf(err)
	var changed *store.RevisionError
	if errors.As(err, &changed) {
		body.Revision = &changed.Have
	}
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusBadGateway:
		a.log.Warn("etcd would not do what was asked over HTTP", "path", r.URL.Path, "error", err)
	}
	return reply{status: status, body: body}
}

// excerpt is the beginning of what may quote all of a body.
func excerpt(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// statusOf tells what kind of answer an error is.
func statusOf(err error) int {
	var own *apiError
	var large *http.MaxBytesError
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &large), is(store.ErrTooMany):
		return http.StatusRequestEntityTooLarge
	case is(store.ErrRevision):
		return http.StatusPreconditionFailed
	case is(store.ErrConflict), is(store.ErrCNAME), is(store.ErrSingle), is(store.ErrValue):
		return http.StatusConflict
	case is(store.ErrUnavailable), is(store.ErrClosed), is(context.Canceled), is(context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	case is(store.ErrNone):
		return http.StatusNotFound
	case is(store.ErrCompacted):
		return http.StatusGone
	case is(store.ErrPlace):
		return http.StatusBadRequest
	case is(store.ErrEdit):
		return http.StatusUnprocessableEntity
	case store.Refused(err):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadGateway
}

// decode reads a body that is one JSON value and holds nothing unknown.
func decode(r *request, into any) error {
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	err := in.Decode(into)
	if err == nil {
		if _, err = in.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("something follows the value")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fmt.Errorf("the body is too large, at most %d octets: %w", maxBody, err)
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) { // its own words are about Go's types
		return refuse(http.StatusBadRequest, "the body is not what is expected: %s: found %s, expected %s", cmp.Or(wrong.Field, "all of it"), wrong.Value, inJSON[wrong.Type.Kind()])
	}
	return refuse(http.StatusBadRequest, "the body is not what is expected: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// inJSON is what a body's fields are called.
var inJSON = map[reflect.Kind]string{
	reflect.String: "a text", reflect.Int64: "a whole number", reflect.Slice: "a list", reflect.Struct: "an object",
}
