package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server with some commands, and returns its socket's path.
func serve(t *testing.T, commands *Commands) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	ctx, cancel := context.WithCancel(t.Context())
	server, err := Listen(ctx, path, commands)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket file is still there: %v", err)
		}
	})
	return path
}

func do(t *testing.T, path string, asJSON bool, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Do(t.Context(), path, Request{Args: args, JSON: asJSON}, &out)
	return out.String(), err
}

func testCommands() *Commands {
	commands := new(Commands)
	commands.Add(
		Command{Name: "echo", Args: "WORD...", Help: "say it again", Run: func(_ context.Context, c *Call) error {
			c.Printf("%s\n", strings.Join(c.Args, "|"))
			return nil
		}},
		Command{Name: "drop", Args: "[WORD] [--under ZONE] [--all]", Help: "with flags", Flags: func(set *pflag.FlagSet) {
			set.String("under", "", "")
			set.Bool("all", false, "")
		}, Run: func(_ context.Context, c *Call) error {
			under, _ := c.Flags.GetString("under")
			all, _ := c.Flags.GetBool("all")
			c.Printf("%q %q %v\n", c.Args, under, all)
			return nil
		}},
		Command{Name: "policy", Args: "[WORD]", Help: "the policy", Run: func(_ context.Context, c *Call) error {
			c.Printf("policy %v\n", c.Args)
			return nil
		}},
		Command{Name: "policy explain", Args: "NAME", Help: "why a name is answered so", Run: func(_ context.Context, c *Call) error {
			c.Printf("explain %v\n", c.Args)
			return nil
		}},
		Command{Name: "fail", Help: "fail half-way", Run: func(_ context.Context, c *Call) error {
			c.Printf("so far\n")
			return errors.New("no further")
		}},
		Command{Name: "data", Help: "some data", Run: func(_ context.Context, c *Call) error {
			return c.Value(map[string]any{"a": 1, "b": []any{true, map[string]any{"c": "d", "e": []int{1}, "f": 2}, []int{3}}, "e": []int{}, "f": nil}, nil)
		}},
	)
	return commands
}

func TestCalls(t *testing.T) {
	path := serve(t, testCommands())
	tests := map[string]struct {
		args   []string
		json   bool
		out    string
		failed string
	}{
		"arguments":       {args: []string{"echo", "a b", "c\nd", ""}, out: "a b|c\nd|\n"},
		"one word":        {args: []string{"policy", "explains"}, out: "policy [explains]\n"},
		"longest name":    {args: []string{"policy", "explain", "x"}, out: "explain [x]\n"},
		"flags":           {args: []string{"drop", "a", "--under", "b", "--all"}, out: "[\"a\"] \"b\" true\n"},
		"flags before":    {args: []string{"drop", "--under=b", "a"}, out: "[\"a\"] \"b\" false\n"},
		"no flags":        {args: []string{"drop", "--", "--all"}, out: "[\"--all\"] \"\" false\n"},
		"unknown flag":    {args: []string{"drop", "--al"}, failed: "drop: unknown flag: --al; usage: drop [WORD] [--under ZONE] [--all]"},
		"takes no flags":  {args: []string{"policy", "explain", "--all"}, failed: "policy explain: unknown flag: --all; usage: policy explain NAME"},
		"takes nothing":   {args: []string{"data", "of", "it"}, failed: `data: "of it" is not understood; usage: data`},
		"flag for help":   {args: []string{"drop", "--help"}, out: "drop [WORD] [--under ZONE] [--all]  with flags\n"},
		"failure":         {args: []string{"fail"}, out: "so far\n", failed: "no further"},
		"unknown":         {args: []string{"flsh", "x"}, failed: `no command "flsh x"; there are: help, data, drop, echo, fail, policy, policy explain`},
		"data":            {args: []string{"data"}, out: "a: 1\nb:\n  - yes\n  - c: d\n    e:\n      - 1\n    f: 2\n  -\n    - 3\ne: none\nf: none\n"},
		"data as JSON":    {args: []string{"data"}, json: true, out: `{"a":1,"b":[true,{"c":"d","e":[1],"f":2},[3]],"e":[],"f":null}` + "\n"},
		"help of one":     {args: []string{"help", "policy"}, out: "policy [WORD]        the policy\npolicy explain NAME  why a name is answered so\n"},
		"help of unknown": {args: []string{"help", "x"}, failed: `no command "x"; there are: help, data, drop, echo, fail, policy, policy explain`},
		"help as JSON":    {args: []string{"help", "fail"}, json: true, out: `[{"name":"fail","help":"fail half-way"}]` + "\n"},
		"nothing is help": {out: "data                                some data\ndrop [WORD] [--under ZONE] [--all]  with flags\necho WORD...                        say it again\nfail                                fail half-way\npolicy [WORD]                       the policy\npolicy explain NAME                 why a name is answered so\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := do(t, path, test.json, test.args...)
			if out != test.out {
				t.Errorf("got  %q\nwant %q", out, test.out)
			}
			if test.failed == "" && err != nil || test.failed != "" && (err == nil || err.Error() != test.failed) {
				t.Errorf("error %v, want %q", err, test.failed)
			}
		})
	}
}

func TestWriteTextNests(t *testing.T) {
	var b bytes.Buffer
	if err := WriteText(&b, json.RawMessage(`[{"a":{"b":[1,{"c":2}]},"d":{}},"e",[{"f":null}]]`)); err != nil {
		t.Fatal(err)
	}
	want := "- a:\n    b:\n      - 1\n      - c: 2\n  d: none\n- e\n-\n  - f: none\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// A long dump arrives whole, runes that straddle two frames too.
func TestLongOutput(t *testing.T) {
	want := strings.Repeat("ü€𝄞 and so on, ", 200_000)
	commands := new(Commands)
	commands.Add(Command{Name: "dump", Run: func(_ context.Context, c *Call) error {
		_, err := io.WriteString(c, want)
		return err
	}})
	out, err := do(t, serve(t, commands), false, "dump")
	if err != nil || out != want {
		t.Errorf("%d octets of %d arrived, error %v", len(out), len(want), err)
	}
}

// What is flushed arrives while the command still runs; when the client leaves,
// the command's context ends.
func TestStreamAndHangup(t *testing.T) {
	ended := make(chan struct{})
	commands := new(Commands)
	commands.Add(Command{Name: "follow", Run: func(ctx context.Context, c *Call) error {
		defer close(ended)
		c.Printf("first\n")
		if err := c.Flush(); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}})
	path := serve(t, commands)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(Do(ctx, path, Request{Args: []string{"follow"}}, writer)) }()
	first := make([]byte, 6)
	if _, err := io.ReadFull(reader, first); err != nil || string(first) != "first\n" {
		t.Fatalf("got %q, %v", first, err)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the command goes on after its client left")
	}
	if _, err := io.ReadAll(reader); !errors.Is(err, context.Canceled) {
		t.Errorf("client ended with %v", err)
	}
}

// The file is narrow from the moment it exists, whatever the umask.
func TestMode(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "s.sock")
	listener, err := bind(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "s.sock")
	os.Mkdir(filepath.Dir(path), 0o755)
	left, err := bind(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	left.Close() // the file stays, as after a crash
	server, err := Listen(t.Context(), path, new(Commands))
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
}

// A lock that somebody else holds delays a start, but does not prevent it.
func TestForeignLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	server, err := Listen(t.Context(), filepath.Join(dir, "s.sock"), new(Commands))
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
}

// Of many that start at once on a stale socket, one gets it.
func TestStartAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	left, err := bind(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	servers := make(chan *Server, 8)
	for range cap(servers) {
		go func() {
			server, _ := Listen(t.Context(), path, new(Commands))
			servers <- server
		}()
	}
	var won int
	for range cap(servers) {
		if server := <-servers; server != nil {
			won++
			defer server.Close()
		}
	}
	if won != 1 {
		t.Errorf("%d have it", won)
	}
}

func TestSocketInUse(t *testing.T) {
	path := serve(t, testCommands())
	if _, err := Listen(t.Context(), path, new(Commands)); err == nil || !strings.Contains(err.Error(), "another daemon answers on "+path) {
		t.Errorf("got %v", err)
	}
	if out, err := do(t, path, false, "echo", "still here"); err != nil || out != "still here\n" {
		t.Errorf("the first daemon's socket is gone: %q, %v", out, err)
	}
}

func TestOtherFileIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), path, new(Commands)); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("got %v", err)
	}
	if kept, _ := os.ReadFile(path); string(kept) != "precious" {
		t.Errorf("the file holds %q", kept)
	}
}

// A daemon that ends does not take a successor's socket away, neither one that
// was put in its place nor one that came after it.
func TestSuccessorKeepsItsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	first, err := Listen(t.Context(), path, new(Commands))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		next, err := Listen(t.Context(), path, new(Commands))
		if err != nil {
			t.Fatal(err)
		}
		first.Close()
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("gone: %v", err)
		}
		next.Close()
		first = next
	}
}

func TestClientErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	_, err := do(t, path, false, "status")
	if want := "control: there is no socket " + path + ": is the daemon running, and with this config?"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	left, err := bind(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	_, err = do(t, path, false, "status")
	if want := "control: nobody answers on " + path + ": the daemon is not running"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// A daemon that ends does not wait for a call that is under way, nor for a
// connection that says nothing.
func TestEndWithCallsUnderWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	began := make(chan struct{})
	commands := new(Commands)
	commands.Add(Command{Name: "wait", Run: func(ctx context.Context, c *Call) error {
		close(began)
		<-ctx.Done()
		return nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	server, err := Listen(ctx, path, commands)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	called := make(chan error, 1)
	go func() { called <- Do(context.Background(), path, Request{Args: []string{"wait"}}, io.Discard) }()
	<-began
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(3 * time.Second): // less than requestTimeout
		t.Fatal("the server waits")
	}
	if err := <-called; err == nil || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("the client ended with %v", err)
	}
}

// Requests that are none get an answer that says so.
func TestBadRequests(t *testing.T) {
	path := serve(t, testCommands())
	for name, test := range map[string]struct{ line, want string }{
		"no JSON":   {"status\n", "invalid character"},
		"too long":  {`{"args":["` + strings.Repeat("x", maxRequest) + `"]}` + "\n", "line too long"},
		"too many":  {`{"args":[` + strings.Repeat(`"",`, maxArgs) + `""]}` + "\n", "at most 256 are taken"},
		"not a set": {"[1]\n", "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, test.line); err != nil {
				t.Fatal(err)
			}
			var frame Frame
			if err := json.NewDecoder(conn).Decode(&frame); err != nil || !frame.End || !strings.Contains(frame.Error, test.want) {
				t.Errorf("got %+v, %v", frame, err)
			}
		})
	}
}
