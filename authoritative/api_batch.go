package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/strata-dns/strata/authoritative/store"
)

// A changeJSON is one change of a batch.
type changeJSON struct {
	Op   string `json:"op"` // add, remove, set
	Name string `json:"name"`
	Type string `json:"type"`
	valueJSON
	IfRevision *int64 `json:"if_revision"` // of what is there; 0: nothing is
}

type resultJSON struct {
	Written   int     `json:"written"`
	Deleted   int     `json:"deleted"`
	Unchanged int     `json:"unchanged"`
	Revision  int64   `json:"revision"`            // etcd's, after the change
	Revisions []int64 `json:"revisions,omitempty"` // of the changes' records, in their order; 0: gone
}

func resultOf(res store.Result, steps []store.Step) resultJSON {
	out := resultJSON{Written: res.Written, Deleted: res.Deleted, Unchanged: res.Unchanged, Revision: res.Revision}
	for _, step := range steps {
		out.Revisions = append(out.Revisions, step.To)
	}
	return out
}

// batch makes all changes of a body in one transaction, or none.
func (a *api) batch(r *request) (reply, error) {
	var body struct {
		Changes []changeJSON `json:"changes"`
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	if len(body.Changes) == 0 {
		return reply{}, refuse(http.StatusUnprocessableEntity, "changes: none; nothing was changed")
	}
	edits := make([]store.Edit, 0, len(body.Changes))
	var expected []store.Expected
	for i := range body.Changes {
		c := &body.Changes[i]
		edit, err := c.edit(r)
		if err != nil {
			status := http.StatusUnprocessableEntity
			var own *apiError
			if errors.As(err, &own) {
				status = own.status
			}
			return reply{}, refuse(status, "changes[%d]: %v; nothing was changed", i, err)
		}
		edits = append(edits, edit)
		if c.IfRevision != nil {
			expected = append(expected, store.Expected{Record: edit.Record, Revision: *c.IfRevision})
		}
	}
	res, steps, err := a.client.WriteTogether(r.Context(), expected, edits...)
	if err != nil {
		return reply{}, err
	}
	a.say(r, res, fmt.Sprintf("%d changes from %s on", len(edits), edits[0].Record))
	return reply{status: http.StatusOK, body: resultOf(res, steps)}, nil
}

var ops = map[string]store.Op{"add": store.Add, "remove": store.Remove, "set": store.Set}

// edit reads one change.
func (c *changeJSON) edit(r *request) (store.Edit, error) {
	op, known := ops[c.Op]
	switch {
	case !known:
		return store.Edit{}, fmt.Errorf("op: %q is unknown; known: add, remove, set", c.Op)
	case op != store.Remove && len(c.Data) == 0:
		return store.Edit{}, fmt.Errorf("%s without data", c.Op)
	case op == store.Remove && (c.TTL != nil || c.Probe != ""):
		return store.Edit{}, errors.New("remove takes data, and neither ttl nor probe")
	case c.IfRevision != nil && *c.IfRevision < 0:
		return store.Edit{}, fmt.Errorf("if_revision: %d is no revision", *c.IfRevision)
	}
	rec, err := c.record(r, c.Name, c.Type)
	if rec.Name != nil && !r.by.may(rec.Name) {
		return store.Edit{}, r.forbidden(rec.Name)
	}
	if op == store.Add && c.TTL == nil {
		op = store.Extend
	}
	return store.Edit{Op: op, Record: rec}, err
}
