package kube

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apitypes "k8s.io/apimachinery/pkg/types"
)

// A complaint is what of an object has no place in DNS.
type complaint struct {
	kind, namespace, name string
	uid                   apitypes.UID // "" where it is not kept
	text                  string
}

// complaints that wait to be said; more are only in the log.
const complaintsMost = 256

// An announcer says on the objects themselves, by events, what of them has no place
// in DNS. It is a courtesy: where it may not, or the API server is away, the log has
// it all the same.
type announcer struct {
	api     API
	log     *slog.Logger
	waiting chan complaint
}

func newAnnouncer(api API, log *slog.Logger) *announcer {
	return &announcer{api: api, log: log, waiting: make(chan complaint, complaintsMost)}
}

// take takes a complaint, and never waits.
func (a *announcer) take(c complaint) {
	select {
	case a.waiting <- c:
	default:
	}
}

// run says what there is to say until ctx ends, or it turns out that it may not.
func (a *announcer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-a.waiting:
			err := a.say(ctx, c)
			switch {
			case ctx.Err() != nil:
				return
			case apierrors.IsForbidden(err):
				a.log.Info("no events on objects that are not wholly in DNS: the account may not create them; the log names them", "error", err)
				return
			case err != nil:
				a.log.Debug("event not created", "error", err)
			}
		}
	}
}

func (a *announcer) say(ctx context.Context, c complaint) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := a.api.CoreV1().Events(c.namespace).Create(ctx, c.event(metav1.Now()), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) { // another monitor, or this one before
		return nil
	}
	if err != nil {
		return fmt.Errorf("create event: %w", err)
	}
	return nil
}

// event has a name that follows from what it says: each thing is said once, by
// however many monitors.
func (c complaint) event(now metav1.Time) *corev1.Event {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s %s %s", c.kind, c.uid, c.text)
	version := map[string]string{"EndpointSlice": "discovery.k8s.io/v1"}[c.kind]
	if version == "" {
		version = "v1"
	}
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: c.namespace, Name: fmt.Sprintf("%.200s.%016x", c.name, hash.Sum64())},
		InvolvedObject: corev1.ObjectReference{Kind: c.kind, Namespace: c.namespace, Name: c.name, UID: c.uid, APIVersion: version},
		Type:           corev1.EventTypeWarning, Reason: "NotInDNS", Message: fmt.Sprintf("%.1000s", c.text),
		Source:              corev1.EventSource{Component: "strata-monitor"},
		ReportingController: "strata-dns.io/monitor", ReportingInstance: "strata-monitor", Action: "Publish",
		FirstTimestamp: now, LastTimestamp: now, Count: 1, EventTime: metav1.NewMicroTime(now.Time),
	}
}

// complain makes a complaint of an object, "Service shop/web", as it is reported. One
// that is in no namespace has no place for an event.
func (s *State) complain(object, text string) (complaint, bool) {
	kind, key, _ := strings.Cut(object, " ")
	namespace, name, ok := strings.Cut(key, "/")
	c := complaint{kind: kind, namespace: namespace, name: name, text: text}
	if kind == Services.String() {
		if svc := s.serviceAt(key); svc != nil {
			c.uid = svc.UID
		}
	}
	return c, ok
}
