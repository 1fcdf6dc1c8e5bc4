package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/strata-dns/strata/core/daemon"
	"github.com/strata-dns/strata/core/daemon/config"
	"github.com/strata-dns/strata/core/daemon/control"
)

// asProgram makes the test binary be the program below instead of testing it:
// signals and exit statuses need a process of their own.
const asProgram = "BE_THE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main(testSpec())
	}
	os.Exit(m.Run())
}

// testConfig is the config of a program that answers each TCP connection with a
// greeting, after a while.
type testConfig struct {
	config.Base `mapstructure:",squash"`
	Greeting    string        `mapstructure:"greeting"`
	After       time.Duration `mapstructure:"after"`
	Fail        string        `mapstructure:"fail"` // "build" or "run": where to fail
	Names       []string      `mapstructure:"names"`
}

func (c *testConfig) Validate(report *config.Report) {
	c.Base.Validate(report)
	if c.Greeting == "" {
		report.Add("greeting", "is empty; a greeting greets")
	}
}

func testSpec() Spec[testConfig] {
	return Spec[testConfig]{
		Name:  "greeter",
		Short: "greets",
		Defaults: func() testConfig {
			return testConfig{
				Base: config.Base{
					Listen:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
					Control: "/nonexistent/strata/greeter.sock",
				},
				Greeting: "hello",
			}
		},
		Base:  func(c *testConfig) *config.Base { return &c.Base },
		Build: buildGreeter,
		Check: func(c *testConfig, report *config.Report) {
			for i, name := range c.Names {
				if name == "nobody" {
					report.Add(fmt.Sprintf("names[%d]", i), "is nobody")
				}
			}
		},
		Summary:  func(c *testConfig) []slog.Attr { return []slog.Attr{slog.String("greeting", c.Greeting)} },
		Services: []Service[testConfig]{{Name: "monitor", Short: "watches", Build: buildGreeter}},
		Extra: func(load Load[testConfig]) []*cobra.Command {
			return []*cobra.Command{{Use: "say", RunE: func(cmd *cobra.Command, _ []string) error {
				c, err := load(cmd)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), c.Greeting)
				}
				return err
			}}}
		},
		Planes: []string{"socket"},
	}
}

// greeter is the task of the test program.
type greeter struct {
	listener net.Listener
	greeting atomic.Pointer[string]
	after    time.Duration
	fail     bool
	open     sync.WaitGroup
}

func buildGreeter(ctx context.Context, d *daemon.Daemon, c *testConfig) (func(context.Context, *testConfig) error, error) {
	if c.Fail == "build" {
		return nil, errors.New("build: of two\nlines")
	}
	g := &greeter{after: c.After, fail: c.Fail == "run"}
	g.greeting.Store(&c.Greeting)
	var err error
	if inherited := daemon.Inherited().Named("greeter"); len(inherited) > 0 {
		g.listener, err = net.FileListener(inherited[0])
	} else {
		g.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen[0].String())
	}
	if err != nil {
		return nil, fmt.Errorf("greeter: %w", err)
	}
	d.Add(g)
	d.AddStatus("greeter", func() any {
		return map[string]string{"greeting": *g.greeting.Load(), "address": g.listener.Addr().String()}
	})
	d.AddCommand(control.Command{Name: "flush", Args: "[NAME]", Help: "forget", Run: func(_ context.Context, call *control.Call) error {
		call.Printf("flushed %d\n", len(call.Args))
		return nil
	}})
	return func(_ context.Context, fresh *testConfig) error {
		if fresh.Greeting == "no" {
			return errors.New("no is no greeting")
		}
		g.greeting.Store(&fresh.Greeting)
		return nil
	}, nil
}

func (g *greeter) Run(ctx context.Context) error {
	if g.fail {
		return errors.New("broken")
	}
	defer g.listener.Close()
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			<-ctx.Done()
			return nil
		}
		g.open.Go(func() {
			defer conn.Close()
			fmt.Fprint(conn, ".")
			time.Sleep(g.after)
			fmt.Fprint(conn, *g.greeting.Load())
		})
	}
}

// Drain stops accepting and answers who is waiting.
func (g *greeter) Drain(context.Context) error {
	g.listener.Close()
	g.open.Wait()
	return nil
}

func (g *greeter) Ready() bool    { return true }
func (g *greeter) String() string { return "greeter" }
