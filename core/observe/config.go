package observe

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/strata-dns/strata/core/daemon/config"
)

// A Config is what is looked at. Embed it with the tag `mapstructure:",squash"`.
type Config struct {
	Top      Top      `mapstructure:"top"`
	QueryLog QueryLog `mapstructure:"query_log"`
	Dnstap   Dnstap   `mapstructure:"dnstap"`
}

// Top says what `ctl top` knows of.
type Top struct {
	Sample int `mapstructure:"sample"` // one in so many queries is counted; 0: off
	Size   int `mapstructure:"size"`   // names, clients, … that are kept, of each sort
}

// QueryLog says which queries are logged, and where to.
type QueryLog struct {
	Sample int    `mapstructure:"sample"` // one in so many queries is logged; 0: off
	File   string `mapstructure:"file"`   // "": where all else is logged
}

// Dnstap says which messages are sent to a receiver.
type Dnstap struct {
	Socket   string   `mapstructure:"socket"` // the receiver's unix socket; "": off
	Sample   int      `mapstructure:"sample"` // one in so many queries is sent
	Identity string   `mapstructure:"identity"`
	Version  string   `mapstructure:"version"`
	Messages []string `mapstructure:"messages"` // client_query, client_response
}

// The kinds of messages that a receiver gets.
const (
	clientQuery    = "client_query"
	clientResponse = "client_response"
)

// Defaults counts one query in 16, and logs and sends none.
func Defaults() Config {
	return Config{
		Top:    Top{Sample: 16, Size: 1000},
		Dnstap: Dnstap{Sample: 1, Messages: []string{clientQuery, clientResponse}},
	}
}

// Limits of what may be set.
const (
	maxSample  = 1_000_000
	maxTop     = 100_000
	maxSocket  = 107 // octets of a unix socket's path (unix(7))
	generation = time.Minute
)

// Validate finds what types alone do not.
func (c *Config) Validate(report *config.Report) {
	for _, s := range [...]struct {
		key string
		n   int
	}{{"top.sample", c.Top.Sample}, {"query_log.sample", c.QueryLog.Sample}, {"dnstap.sample", c.Dnstap.Sample}} {
		if s.n < 0 || s.n > maxSample {
			report.Add(s.key, "%d; one in so many queries, from 1 to %d, or 0 for none", s.n, maxSample)
		}
	}
	if c.Top.Sample > 0 && (c.Top.Size < 1 || c.Top.Size > maxTop) {
		report.Add("top.size", "%d; how many names are kept, from 1 to %d", c.Top.Size, maxTop)
	}
	if folder := filepath.Dir(c.QueryLog.File); c.QueryLog.Sample > 0 && c.QueryLog.File != "" {
		if info, err := os.Stat(folder); err != nil {
			report.Add("query_log.file", "%v; make the folder", err)
		} else if !info.IsDir() {
			report.Add("query_log.file", "%s is no folder", folder)
		}
	}
	if len(c.Dnstap.Socket) > maxSocket {
		report.Add("dnstap.socket", "a path of %d octets, sockets take at most %d", len(c.Dnstap.Socket), maxSocket)
	}
	for i, m := range c.Dnstap.Messages {
		if m != clientQuery && m != clientResponse {
			report.Add(fmt.Sprintf("dnstap.messages[%d]", i), "%q is none of %s, %s", m, clientQuery, clientResponse)
		}
	}
	if c.Dnstap.Socket != "" && len(c.Dnstap.Messages) == 0 {
		report.Add("dnstap.messages", "none; %s, %s or both", clientQuery, clientResponse)
	}
}
