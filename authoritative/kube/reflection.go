package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// A reflection is where the reflector of one kind puts what it hears of: the State.
// It implements cache.ReflectorStore and what a reflector asks of one beside it.
type reflection struct {
	cluster   *Cluster
	kind      Kind
	reflector *cache.Reflector
	listed    atomic.Bool
	trouble   atomic.Pointer[string]
	told      []string // kinds of trouble that the log has, since it answered last; for heard alone
}

// Add implements cache.ReflectorStore.
func (r *reflection) Add(object any) error { return r.Update(object) }

// Update implements cache.ReflectorStore.
func (r *reflection) Update(object any) error {
	m, err := r.slim(object)
	if err == nil {
		r.cluster.state.Change(position(m.GetResourceVersion()), []metav1.Object{m}, nil)
	}
	return err
}

// Delete implements cache.ReflectorStore: an event names what is gone.
func (r *reflection) Delete(object any) error {
	m, err := r.slim(object)
	if err == nil {
		r.cluster.state.Change(position(m.GetResourceVersion()), nil, []metav1.Object{m})
	}
	return err
}

// Replace implements cache.ReflectorStore: what is gone has to be inferred.
func (r *reflection) Replace(list []any, version string) error {
	objects := make([]metav1.Object, len(list))
	for i, object := range list {
		var err error
		if objects[i], err = r.slim(object); err != nil {
			return err
		}
		list[i] = nil
	}
	r.cluster.state.Replace(r.kind, position(version), objects)
	if !r.listed.Swap(true) {
		r.cluster.log.Info("objects listed", "kind", r.kind.String(), "objects", len(objects))
		r.cluster.synced()
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (r *reflection) Resync() error { return nil }

// UpdateResourceVersion implements cache.ResourceVersionUpdater.
func (r *reflection) UpdateResourceVersion(version string) {
	r.cluster.state.Reached(r.kind, position(version))
}

// Transformer implements cache.TransformingStore.
func (r *reflection) Transformer() cache.TransformFunc { return wrap }

func (r *reflection) slim(object any) (metav1.Object, error) {
	if p, ok := object.(*parcel); ok {
		return p, nil
	}
	small, err := slim(object)
	if err != nil {
		return nil, err
	}
	m, ok := small.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no %s", object, r.kind)
	}
	return m, nil
}

// position reads a resource version; versions of one cluster can be compared. One
// that is no number is before all others.
func position(version string) int64 {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// heard notes whether the API server answers, and logs it when that changes, or when it is
// another kind of reason: nobody listening, and then a certificate that is not trusted.
func (r *reflection) heard(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		r.told = nil
		if r.trouble.Swap(nil) != nil {
			r.cluster.log.Info("the API server answers again", "kind", r.kind.String())
		}
		return
	}
	text := fmt.Sprintf("%ss are not heard of: %v", r.kind, err)
	r.trouble.Store(&text)
	if sort := sortOf(err); !slices.Contains(r.told, sort) {
		r.told = append(r.told, sort)
		r.cluster.log.Warn("the API server does not answer; records stay as they are", "kind", r.kind.String(), "error", err)
	}
}

// sortOf tells errors apart by their innermost type and the API server's reason, not by
// their text, in which ports and times differ.
func sortOf(err error) string {
	reason := apierrors.ReasonForError(err)
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return fmt.Sprintf("%T %s", err, reason)
}
