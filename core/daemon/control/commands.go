package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

// A Command is something an operator can have done.
type Command struct {
	Name string // one or more lower-case words: "flush", "policy explain"
	Args string // what follows the name, for the help: "[NAME [TYPE]]"; "": nothing may
	Help string // one line, lower-case, no full stop
	// Flags defines the flags that may stand among the arguments: --under ZONE.
	// nil: there are none.
	Flags func(set *pflag.FlagSet)
	// Run does it. ctx ends when the client leaves or the daemon ends. The
	// error reaches the client as its one line on stderr, and exit status 1.
	Run func(ctx context.Context, call *Call) error
}

// Commands is the set of commands of one daemon. The zero value holds "help".
// It is safe for concurrent use.
type Commands struct {
	mu   sync.RWMutex
	list []Command // by name
}

// Add registers commands; one of the same name is replaced.
func (c *Commands) Add(commands ...Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, command := range commands {
		at, found := slices.BinarySearchFunc(c.list, command.Name, func(have Command, name string) int {
			return strings.Compare(have.Name, name)
		})
		if found {
			c.list[at] = command
			continue
		}
		c.list = slices.Insert(c.list, at, command)
	}
}

// call finds and runs the command of a request.
func (c *Commands) call(ctx context.Context, req Request, send func(Frame) error) error {
	call := &Call{Args: req.Args, JSON: req.JSON, send: send}
	defer call.flush(true)
	if len(req.Args) == 0 || req.Args[0] == "help" {
		return c.help(call)
	}
	command, words, ok := c.find(req.Args)
	if !ok {
		return c.unknown(req.Args)
	}
	if err := command.parse(call, req.Args[words:]); errors.Is(err, pflag.ErrHelp) {
		call.Args = append([]string{"help"}, strings.Fields(command.Name)...)
		return c.help(call)
	} else if err != nil {
		return fmt.Errorf("%s: %w; usage: %s", command.Name, err, command.usage())
	}
	return command.Run(ctx, call)
}

// parse takes the flags out of what follows a command's name. Words that a command has no
// use for are an error: "failover release dc2" would release all the same.
func (c *Command) parse(call *Call, args []string) error {
	call.Flags = pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
	call.Flags.Usage = func() {}
	if c.Flags != nil {
		c.Flags(call.Flags)
	}
	err := call.Flags.Parse(args)
	call.Args = call.Flags.Args()
	if err == nil && c.Args == "" && len(call.Args) > 0 {
		return fmt.Errorf("%q is not understood", strings.Join(call.Args, " "))
	}
	return err
}

func (c *Command) usage() string { return strings.TrimSpace(c.Name + " " + c.Args) }

// find returns the command with the longest name that args begin with, and the
// number of words its name has.
func (c *Commands) find(args []string) (found Command, words int, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, command := range c.list {
		name := strings.Fields(command.Name)
		if len(name) > words && len(name) <= len(args) && slices.Equal(name, args[:len(name)]) {
			found, words, ok = command, len(name), true
		}
	}
	return found, words, ok
}

func (c *Commands) unknown(args []string) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	names := []string{"help"}
	for _, command := range c.list {
		names = append(names, command.Name)
	}
	return fmt.Errorf("no command %q; there are: %s", strings.Join(args, " "), strings.Join(names, ", "))
}

// help lists the commands whose names begin with the words after "help".
func (c *Commands) help(call *Call) error {
	var under string
	if len(call.Args) > 1 {
		under = strings.Join(call.Args[1:], " ")
	}
	type entry struct {
		Name string `json:"name"`
		Args string `json:"args,omitempty"`
		Help string `json:"help"`
	}
	var entries []entry
	c.mu.RLock()
	for _, command := range c.list {
		if strings.HasPrefix(command.Name, under) {
			entries = append(entries, entry{command.Name, command.Args, command.Help})
		}
	}
	c.mu.RUnlock()
	if len(entries) == 0 && under != "" {
		return c.unknown(call.Args[1:])
	}
	return call.Value(entries, func(w io.Writer) {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, e := range entries {
			fmt.Fprintf(table, "%s\t%s\n", strings.TrimSpace(e.Name+" "+e.Args), e.Help)
		}
		_ = table.Flush() // w keeps its own first error
	})
}
