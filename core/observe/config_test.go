package observe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strata-dns/strata/core/daemon/config"
)

// checked is a config of nothing else.
type checked struct {
	Config `mapstructure:",squash"`
}

func (c *checked) Validate(report *config.Report) { c.Config.Validate(report) }

// What is wrong with a config is told by line and key.
func TestValidate(t *testing.T) {
	for text, want := range map[string][]string{
		"top: {sample: -1, size: 0}\nquery_log: {sample: 1000001}\n": {":1: top.sample: -1;", ":2: query_log.sample: 1000001;"},
		"top: {sample: 1, size: 0}\n":                                {":1: top.size: 0;"},
		"dnstap: {socket: x, messages: []}\n":                        {":1: dnstap.messages: none;"},
		"dnstap: {socket: " + strings.Repeat("x", 108) + "}\n":       {":1: dnstap.socket: a path of 108 octets"},
		"dnstap: {messages: [client_query, clientquery]}\n":          {`:1: dnstap.messages[1]: "clientquery" is none of client_query, client_response`},
		"query_log: {sample: 1, file: /nonexistent/q.log}\n":         {":1: query_log.file: stat /nonexistent: no such file or directory; make the folder"},
		"query_log: {sample: 1, file: /dev/null/q.log}\n":            {":1: query_log.file: "},
		"query_log: {sample: 0, file: /nonexistent/q.log}\n":         nil,
		"top: {sample: 0, size: 0}\nquery_log: {sample: 1}\n":        nil,
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var problems config.Problems
		if err := config.Load(file, &checked{Defaults()}, nil); err != nil && !errors.As(err, &problems) {
			t.Fatal(err)
		}
		if len(problems) != len(want) {
			t.Errorf("%s: %v", text, problems.Lines())
		}
		for _, w := range want {
			if !strings.Contains(problems.Lines(), w) {
				t.Errorf("%s: no %q in %s", text, w, problems.Lines())
			}
		}
	}
}
