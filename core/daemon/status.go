package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/strata-dns/strata/core/daemon/admin"
)

// sections are the parts of /status, in the order they were added.
type sections struct {
	mu   sync.Mutex
	list []section
}

type section struct {
	name  string
	value func() any
}

func (s *sections) add(name string, value func() any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, section{name, value})
}

// Status is everything the daemon says of itself, as JSON with its own parts
// first and the binary's sections behind them.
func (d *Daemon) Status() json.RawMessage {
	d.status.mu.Lock()
	list := append(d.ownSections(), d.status.list...)
	d.status.mu.Unlock()
	var b bytes.Buffer
	for i, s := range list {
		lead := byte(',')
		if i == 0 {
			lead = '{'
		}
		value, err := json.Marshal(s.value())
		if err != nil { // one broken section does not hide the others
			value, _ = json.Marshal(fmt.Sprintf("cannot be shown: %v", err))
		}
		name, _ := json.Marshal(s.name) // a string always can
		b.WriteByte(lead)
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (d *Daemon) ownSections() []section {
	value := func(v any) func() any { return func() any { return v } }
	var page string
	if address := d.page.Addr(); address != nil {
		page = address.String()
	}
	type configStatus struct {
		File   string `json:"file,omitempty"`
		Reload Reload `json:"reload"`
	}
	return []section{
		{"name", value(d.name)},
		{"build", value(d.build)},
		{"pid", value(os.Getpid())},
		{"started", value(d.started)},
		{"uptime_seconds", value(int64(time.Since(d.started).Seconds()))},
		{"ready", value(d.Ready())},
		{"draining", value(d.phase.Load() == draining)},
		{"admin", value(page)},
		{"tasks", value(d.taskStates())},
		{"config", value(configStatus{d.configFile, d.LastReload()})},
	}
}

// Overview is what the admin pages show.
func (d *Daemon) Overview() admin.Overview {
	return admin.Overview{
		Name:     d.name,
		Version:  d.build.Version,
		Started:  d.started,
		Ready:    d.Ready(),
		Alive:    d.Alive(),
		Draining: d.phase.Load() == draining,
		Tasks:    d.taskStates(),
		Trouble:  d.LastReload().Error,
	}
}
