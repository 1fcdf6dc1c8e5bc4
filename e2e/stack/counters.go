package stack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/strata-dns/strata/core/daemon/admin"
	"github.com/strata-dns/strata/core/daemon/control"
)

// Counters are what a server has counted, by name and labels as its `ctl stats`
// writes them (for unbound: as `unbound-control stats` does).
type Counters map[string]float64

// Sum adds the counters of a name whose labels hold all the given words.
func (c Counters) Sum(name string, words ...string) (sum float64) {
next:
	for key, n := range c {
		own, labels, _ := strings.Cut(key, "{")
		if own != name {
			continue
		}
		for _, word := range words {
			if !strings.Contains(labels, word) {
				continue next
			}
		}
		sum += n
	}
	return sum
}

// Since is what moved from before to c.
func (c Counters) Since(before Counters) Counters {
	moved := Counters{}
	for key, n := range c {
		if n != before[key] {
			moved[key] = n - before[key]
		}
	}
	return moved
}

// Counters asks the server what it has counted, over its control socket.
func (s *Server) Counters(ctx context.Context) (Counters, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	read := daemonCounters
	if s.Kind == External {
		read = unboundCounters
	}
	c, err := read(ctx, s.Control)
	if err != nil {
		return nil, fmt.Errorf("read counters of %s: %w", s.Name, err)
	}
	return c, nil
}

func daemonCounters(ctx context.Context, path string) (Counters, error) {
	var out bytes.Buffer
	if err := control.Do(ctx, path, control.Request{Args: []string{"stats"}, JSON: true}, &out); err != nil {
		return nil, err
	}
	var figures []admin.Figure
	if err := json.Unmarshal(out.Bytes(), &figures); err != nil {
		return nil, err
	}
	c := Counters{}
	for _, f := range figures {
		c[f.Name+f.Labels] = f.Value
	}
	return c, nil
}

// unboundCounters speaks what unbound-control does, in the clear: the version of
// the protocol, the command, and a line for each figure until the end.
func unboundCounters(ctx context.Context, path string) (Counters, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "UBCT1 stats_noreset\n"); err != nil {
		return nil, err
	}
	c := Counters{}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), "=")
		n, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("unbound says %q", lines.Text())
		}
		c[key] = n
	}
	return c, lines.Err()
}
