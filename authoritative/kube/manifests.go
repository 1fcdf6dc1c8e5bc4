package kube

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Manifests tells a State of the objects in the files of a folder: *.yaml, *.yml and
// *.json. A file that changes is read when it has come to rest; one that can't be
// read or understood is said, and its objects stay as they were; at the start, when
// nothing is known of them, nothing is written before it is mended.
type Manifests struct {
	state *State
	dir   string
	log   *slog.Logger

	files map[string]*manifest
	held  map[string]held // by kind and key

	synced  atomic.Bool
	trouble atomic.Pointer[string]
}

// A manifest is a file as it was last read.
type manifest struct {
	seen    stamp // as last looked at
	read    stamp // as last read
	objects []metav1.Object
	err     string
}

// A stamp tells two contents of a file apart, as far as looking from outside can.
type stamp struct {
	size int64
	time time.Time
}

type held struct {
	kind   Kind
	object metav1.Object
	file   string
}

// manifestPoll is how often the folder is looked at; a change is taken when two
// looks have seen it alike.
const manifestPoll = 200 * time.Millisecond

// NewManifests makes a source; Run sets it going.
func NewManifests(state *State, dir string, log *slog.Logger) *Manifests {
	return &Manifests{state: state, dir: dir, log: log, files: map[string]*manifest{}, held: map[string]held{}}
}

// Run implements daemon.Task.
func (m *Manifests) Run(ctx context.Context) error {
	tick := time.NewTicker(manifestPoll)
	defer tick.Stop()
	for {
		m.look()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look takes what has changed, once all of it has come to rest.
func (m *Manifests) look() {
	stamps, err := m.stamps()
	if err != nil {
		m.say(fmt.Sprintf("manifests are not read, objects stay as they were: %v", err))
		return
	}
	changed, restless := len(stamps) != len(m.files), false
	for path, now := range stamps {
		f := m.files[path]
		if f == nil {
			f = &manifest{}
			m.files[path] = f
			changed = true
		}
		restless = restless || f.seen != now
		changed = changed || f.read != now
		f.seen = now
	}
	if restless || !changed && m.synced.Load() {
		return
	}
	for path := range m.files {
		if _, there := stamps[path]; !there {
			delete(m.files, path)
		}
	}
	for path, f := range m.files {
		if f.read != f.seen {
			m.read(path, f)
		}
	}
	m.tell()
}

// stamps are those of the files of the folder.
func (m *Manifests) stamps() (map[string]stamp, error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, err
	}
	stamps := map[string]stamp{}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" && ext != ".json" {
			continue
		}
		path := filepath.Join(m.dir, e.Name())
		info, err := os.Stat(path) // of what a link leads to, as in a mounted ConfigMap
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			stamps[path] = stamp{info.Size(), info.ModTime()}
		}
	}
	return stamps, nil
}

// read takes a file's objects; where it has an error it keeps those it had.
func (m *Manifests) read(path string, f *manifest) {
	text, err := os.ReadFile(path)
	var objects []metav1.Object
	if err == nil {
		if objects, err = readManifest(text); err != nil {
			err = fmt.Errorf("%s:%w", path, err)
		}
	}
	f.read = f.seen
	if err != nil {
		f.err = err.Error()
		m.log.Error("manifest is not taken, its objects stay as they were", "error", err)
		return
	}
	f.objects, f.err = objects, ""
}

// tell tells the state what there is now. What is no longer in a folder that has
// files still is gone because somebody says so; an empty folder may as well be one
// that is not mounted.
func (m *Manifests) tell() {
	now := map[string]held{}
	var wrong []string
	for _, path := range slices.Sorted(maps.Keys(m.files)) {
		f := m.files[path]
		if f.err != "" {
			wrong = append(wrong, f.err)
		}
		for _, object := range f.objects {
			kind, _ := kindOf(object) // it is of one: no others are read
			key := kind.String() + " " + keyOf(object)
			if first, twice := now[key]; twice {
				wrong = append(wrong, fmt.Sprintf("%s: %s stands in %s already, which is taken", path, key, first.file))
				continue
			}
			now[key] = held{kind, object, path}
		}
	}
	m.say(strings.Join(wrong, "; "))
	switch {
	case !m.synced.Load():
		if m.unread() { // what is in it would be taken for gone
			return
		}
		m.replace(now)
		m.state.Synced()
		m.synced.Store(true)
		m.log.Info("manifests read", "folder", m.dir, "files", len(m.files), "objects", len(now))
	case len(m.files) == 0:
		m.log.Warn("there are no manifests any more", "folder", m.dir)
		m.replace(now)
	default:
		m.change(now)
	}
	m.held = now
}

// unread tells whether there is a file of which nothing is known.
func (m *Manifests) unread() bool {
	for _, f := range m.files {
		if f.err != "" {
			return true
		}
	}
	return false
}

func (m *Manifests) replace(now map[string]held) {
	var of [kinds][]metav1.Object
	for _, h := range now {
		of[h.kind] = append(of[h.kind], h.object)
	}
	// Services last: with all that belongs to them there, their records come once.
	for _, kind := range []Kind{Namespaces, EndpointSlices, Pods, Services} {
		m.state.Replace(kind, 0, of[kind])
	}
}

func (m *Manifests) change(now map[string]held) {
	var came, gone []metav1.Object
	for key, h := range now {
		if old, ok := m.held[key]; !ok || old.object != h.object {
			came = append(came, h.object)
		}
	}
	for key, h := range m.held {
		if _, there := now[key]; !there {
			gone = append(gone, h.object)
		}
	}
	m.state.Change(0, came, gone)
}

// say notes what is wrong, and logs it when it begins to be so.
func (m *Manifests) say(trouble string) {
	old := m.trouble.Swap(&trouble)
	if trouble != "" && (old == nil || *old != trouble) {
		m.log.Warn("manifests", "folder", m.dir, "problem", trouble)
	}
}

// Ready implements daemon.Task.
func (m *Manifests) Ready() bool { return m.synced.Load() }

// Reason implements daemon.Reasoner.
func (m *Manifests) Reason() string {
	if trouble := m.trouble.Load(); trouble != nil {
		return *trouble
	}
	return ""
}

// String implements daemon.Task.
func (m *Manifests) String() string { return "manifests in " + m.dir }
