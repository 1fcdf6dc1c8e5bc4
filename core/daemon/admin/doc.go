// Package admin is a daemon's HTTP side: /livez and /readyz for machines that
// route traffic, /metrics for Prometheus, /status as JSON, a page for people at
// /, and profiles under /debug/pprof. It shows what its Source says and changes
// nothing.
package admin
