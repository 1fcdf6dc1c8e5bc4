package config

import (
	"log/slog"
	"net"
	"net/netip"
)

// A unix socket's path has at most this many octets (unix(7)).
const maxSocketPath = 107

// Base holds the keys that all daemons have. Embed it with the tag
// `mapstructure:",squash"`; a Validate of the whole calls that of its Base.
type Base struct {
	Listen  []netip.AddrPort `mapstructure:"listen"`  // where queries are answered
	Workers int              `mapstructure:"workers"` // 0: one a CPU
	Admin   string           `mapstructure:"admin"`   // host:port of the HTTP pages, "": off
	Control string           `mapstructure:"control"` // path of the control socket, "": off
	// Takeover replaces the daemon that answers on the control socket, if there is
	// one, without a pause.
	Takeover bool `mapstructure:"takeover"`
	Log      Log  `mapstructure:"log"`
}

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level `mapstructure:"level"` // debug, info, warn, error
	Format Format     `mapstructure:"format"`
}

// Format is that of log lines: "text" or "json".
type Format string

// UnmarshalText takes one of the two.
func (f *Format) UnmarshalText(text []byte) error {
	choice, err := Choose(text, "text", "json")
	*f = Format(choice)
	return err
}

// Validate checks what types alone do not.
func (b *Base) Validate(report *Report) {
	if b.Workers < 0 {
		report.Add("workers", "%d is too few; 0 means one a CPU", b.Workers)
	}
	if b.Admin != "" {
		if _, _, err := net.SplitHostPort(b.Admin); err != nil {
			report.Add("admin", "found %q, expected host:port, such as 127.0.0.1:9353, or \"\" for none", b.Admin)
		}
	}
	if b.Takeover && b.Control == "" {
		report.Add("takeover", "needs control: it is by that socket that the running daemon is found")
	}
	if len(b.Control) > maxSocketPath {
		report.Add("control", "a path of %d octets, sockets take at most %d", len(b.Control), maxSocketPath)
	}
}
