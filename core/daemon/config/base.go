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
	if b.Takeover && b.Control == "" {
		report.Add("takeover", "needs control: it is by that socket that the running daemon is found")
	}
	ValidatePages(b.Admin, b.Control, report)
}

// ValidatePages looks at the keys admin and control, of which a service that shares its
// file with another has its own.
func ValidatePages(admin, control string, report *Report) {
	if admin != "" {
		_, port, err := net.SplitHostPort(admin)
		if err == nil {
			_, err = net.LookupPort("tcp", port)
		}
		if err != nil {
			report.Add("admin", "found %q, expected host:port, such as 127.0.0.1:9353, or \"\" for none", admin)
		}
	}
	if len(control) > maxSocketPath {
		report.Add("control", "a path of %d octets, sockets take at most %d", len(control), maxSocketPath)
	}
}
