package stack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/strata-dns/strata/core/daemon/admin"
	"github.com/strata-dns/strata/core/daemon/control"
)

// Counters are what a server has counted, by name and labels as its `ctl stats`
// writes them.
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

// Counters asks the server what it has counted, over its control socket. Of an
// external resolver they are the questions it was asked.
func (s *Server) Counters(ctx context.Context) (Counters, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	read := daemonCounters
	if s.Kind == External {
		read = unboundCounters
	}
	c, err := read(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("read counters of %s: %w", s.Name, err)
	}
	return c, nil
}

func daemonCounters(ctx context.Context, s *Server) (Counters, error) {
	var out bytes.Buffer
	if err := control.Do(ctx, s.Control, control.Request{Args: []string{"stats"}, JSON: true}, &out); err != nil {
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

// questionsCounter is what an external resolver has been asked for by clients.
const questionsCounter = "questions"

// unboundCounters reads the questions that unbound logs. Its own figures
// (unbound-control stats) do not tell a client's question from the checks that
// recursors make; names do.
func unboundCounters(_ context.Context, s *Server) (Counters, error) {
	log, err := os.Open(s.LogFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c := Counters{}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		// [1795248000] unbound[123:0] info: 127.0.0.1 www.example.net. A IN
		_, query, ok := strings.Cut(lines.Text(), " info: 127.0.0.1 ")
		if words := strings.Fields(query); ok && len(words) == 3 && !isCheck(words[0]) {
			c[fmt.Sprintf("%s{name=%q,type=%q}", questionsCounter, words[0], words[1])]++
		}
	}
	return c, lines.Err()
}

// isCheck tells whether recursors' checks (external.check) ask for a name.
func isCheck(name string) bool {
	return name == "dns.example.net." || strings.HasSuffix(name, ".probe.example.net.") || name == "ns.example.net."
}
