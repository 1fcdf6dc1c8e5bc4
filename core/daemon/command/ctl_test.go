package command

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The flags of ctl are taken out wherever they stand, and all others are the
// daemon's to know.
func TestOwnFlags(t *testing.T) {
	for args, want := range map[string]struct {
		rest string
		set  map[string]string
	}{
		"flush --under prd.example.com":      {"flush --under prd.example.com", nil},
		"flush --under=a --json --all":       {"flush --under=a --all", map[string]string{"json": "true"}},
		"--control /x flush --type A":        {"flush --type A", map[string]string{"control": "/x"}},
		"flush --control=/x -h":              {"flush", map[string]string{"control": "/x", "help": "true"}},
		"stats json":                         {"stats json", nil},
		"-- flush --all":                     {"flush --all", nil},
		"flush -- --json":                    {"flush -- --json", nil},
		"--json=false flush a --config f -x": {"flush a -x", map[string]string{"json": "false", "config": "f"}},
	} {
		cmd := &cobra.Command{}
		cmd.PersistentFlags().String("config", "", "")
		cmd.Flags().String("control", "", "")
		cmd.Flags().Bool("json", false, "")
		cmd.Flags().BoolP("help", "h", false, "")
		rest, err := ownFlags(cmd, strings.Fields(args))
		if err != nil || !reflect.DeepEqual(rest, strings.Fields(want.rest)) {
			t.Errorf("%s: %q, %v", args, rest, err)
		}
		for _, name := range []string{"config", "control", "json", "help"} {
			flag := cmd.Flags().Lookup(name)
			if value, set := want.set[name]; flag.Changed != set || set && flag.Value.String() != value {
				t.Errorf("%s: %s is %q, set: %v", args, name, flag.Value, flag.Changed)
			}
		}
	}
	cmd := &cobra.Command{}
	cmd.Flags().String("control", "", "")
	if _, err := ownFlags(cmd, []string{"status", "--control"}); err == nil {
		t.Error("a flag without its value passes")
	}
}
