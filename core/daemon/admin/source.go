package admin

import (
	"encoding/json"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Source is the daemon that is shown. Its methods are called concurrently.
type Source interface {
	Overview() Overview
	Status() json.RawMessage // one JSON object
	Registry() *prometheus.Registry
}

// An Overview is a daemon at a glance.
type Overview struct {
	Name     string
	Version  string
	Started  time.Time
	Ready    bool   // serves
	Alive    bool   // no task is stuck
	Draining bool   // on its way out
	Trouble  string // why the config on disk was refused, if it was
	Tasks    []Task
}

// A Task is the readiness of one of its parts.
type Task struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}
