package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Load is how dnsperf asks.
type Load struct {
	File        string // queries, one a line
	Clients     int    // sockets (-c)
	Outstanding int    // queries in flight over all sockets (-q)
	Seconds     int    // 0: through the file once
	Rate        int    // queries a second at most; 0: as many as get answered
	Stream      bool   // over TCP
	Each        bool   // print every query with its latency (-v)
	Patience    int    // seconds that an answer is waited for (-t); 0: one
	Server      string // who is asked; "": 127.0.0.1
	Namespace   string // network namespace that is asked from; "": this program's
}

// Outcome is what dnsperf saw.
type Outcome struct {
	Sent, Completed, Lost int64
	QPS                   float64
	Seconds               float64
	Mean                  time.Duration // latency under this load
	RCodes                map[string]int64
	Latencies             []time.Duration // with Load.Each
	CPU                   time.Duration   // dnsperf's own
	Reconnects            int64           // of connections, over TCP
}

func (l Load) args(port, cpu int) []string {
	args := []string{"-c", strconv.Itoa(cpu)}
	if l.Namespace != "" {
		args = append(args, "ip", "netns", "exec", l.Namespace)
	}
	args = append(args, "dnsperf", "-s", cmp.Or(l.Server, "127.0.0.1"), "-p", strconv.Itoa(port), "-d", l.File,
		"-c", strconv.Itoa(l.Clients), "-q", strconv.Itoa(l.Outstanding), "-t", strconv.Itoa(cmp.Or(l.Patience, 1)))
	if l.Seconds > 0 {
		args = append(args, "-l", strconv.Itoa(l.Seconds))
	} else {
		args = append(args, "-n", "1")
	}
	if l.Rate > 0 {
		args = append(args, "-Q", strconv.Itoa(l.Rate))
	}
	if l.Stream {
		args = append(args, "-m", "tcp")
	}
	if l.Each {
		args = append(args, "-v")
	}
	return args
}

// command is the load as one would type it.
func (l Load) command(port string, cpu int) string {
	return strings.Replace("taskset "+strings.Join(l.args(0, cpu), " "), "-p 0 ", "-p "+port+" ", 1)
}

// run drives the load against the port and reads dnsperf's account of it.
func (l Load) run(ctx context.Context, port, cpu int) (Outcome, error) {
	cmd := exec.CommandContext(ctx, "taskset", l.args(port, cpu)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return Outcome{}, fmt.Errorf("run dnsperf: %w: %s", err, strings.TrimSpace(complaints.String()))
	}
	o, err := parseOutcome(out.String())
	if err != nil {
		return Outcome{}, err
	}
	o.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return o, nil
}

var rcodeCount = regexp.MustCompile(`([A-Z0-9]+) (\d+) \(`)

// parseOutcome reads the statistics dnsperf 2.10 prints at its end, and the
// line it prints for each query under -v ("> NOERROR www.example. A 0.000123").
func parseOutcome(text string) (Outcome, error) {
	o := Outcome{RCodes: map[string]int64{}}
	numbers := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "> "); ok {
			if fields := strings.Fields(rest); len(fields) > 1 && fields[0] != "T" { // T: timed out
				if s, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
					o.Latencies = append(o.Latencies, seconds(s))
				}
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		if key == "Response codes" {
			for _, m := range rcodeCount.FindAllStringSubmatch(value, -1) {
				n, _ := strconv.ParseInt(m[2], 10, 64) // digits by the expression
				o.RCodes[m[1]] = n
			}
			continue
		}
		if fields := strings.Fields(value); len(fields) > 0 {
			if n, err := strconv.ParseFloat(fields[0], 64); err == nil {
				numbers[key] = n
			}
		}
	}
	for _, key := range []string{"Queries sent", "Queries completed", "Queries per second", "Run time (s)"} {
		if _, ok := numbers[key]; !ok {
			return o, fmt.Errorf("parse dnsperf: no %q in its output", key)
		}
	}
	o.Sent, o.Completed, o.Lost = int64(numbers["Queries sent"]), int64(numbers["Queries completed"]), int64(numbers["Queries lost"])
	o.QPS, o.Seconds = numbers["Queries per second"], numbers["Run time (s)"]
	o.Reconnects = int64(numbers["Reconnections"])
	o.Mean = seconds(numbers["Average Latency (s)"])
	return o, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// generatorVersion asks dnsperf who it is.
func generatorVersion() string {
	out, _ := exec.Command("dnsperf", "-h").CombinedOutput() // its exit status varies
	if v := versionNumber.Find(out[max(0, bytes.LastIndex(out, []byte("Version"))):]); v != nil {
		return "dnsperf " + string(v)
	}
	return "dnsperf of unknown version"
}
