package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"
)

const addedElsewhere = "a record added at one node, and answered at another"

const (
	addsPer = 400 // of --seconds: 2,000
	addPace = 10 * time.Millisecond
)

// recordsAdded measures how long after a record is added at one node another answers it.
func recordsAdded(ctx context.Context, set Setting, command string) (*Run, error) {
	k, err := set.keep(ctx)
	if err != nil {
		return nil, err
	}
	defer k.stop()
	load := set
	load.ServerCPU = everyCPU // latencies of what mostly waits: nothing is held to a CPU
	t, err := newTable(ctx, load, fedRows, command)
	if err != nil {
		return nil, err
	}
	t.run.Entries = append(t.run.Entries, Entry{Name: etcdItself})
	seat := Seat{Origin: origin, Etcd: k.url, Token: filepath.Join(set.Work, "token")}
	secret := rand.Text()
	if err := os.WriteFile(seat.Token, []byte(secret), 0o600); err != nil {
		return nil, err
	}
	one, err := start(fedRows[0], t.paths[fedRows[0].Name], set.Work, everyCPU, seat)
	if err != nil {
		return nil, err
	}
	defer one.stop()
	count := addsPer * set.Seconds
	t.run.Settings = []string{
		fmt.Sprintf("Rounds: %d. Figures are medians. Two servers with one worker each, and etcd, a member in a process of its own that syncs to disk, with %d RRsets. None is held to a CPU, the client is to CPU %d.", set.Rounds, set.Large, set.LoadCPU),
		fmt.Sprintf("%d times, at most every %v, a name that was not there is added by the records API of one server, over a kept connection, and asked for at the other over UDP without a pause. A latency is from before the request is sent to the answer.", count, addPace),
	}
	if _, err := one.ready(ctx, set.Large-1, fillPatience); err != nil {
		return nil, err
	}
	at := fmt.Sprintf("http://127.0.0.1:%d/api/v1/records", one.Seat.Admin)
	err = t.rounds(ctx, seat, func(ctx context.Context, round int, c Contender, s *Server, _ time.Time) error {
		if _, err := s.ready(ctx, set.Large-1, fillPatience); err != nil {
			return err
		}
		a, err := newAddressee(s.Seat.Port)
		if err != nil {
			return err
		}
		defer a.conn.Close()
		add := &adder{url: at, secret: secret, round: round}
		sample, err := account(s, func() (Sample, error) {
			return paced(ctx, count, addPace, func(i int) (time.Duration, error) { return add.once(ctx, a, i) })
		})
		if err != nil {
			return err
		}
		sample.CPU = 0 // it is that of the questions without a pause, which nobody counts
		t.add(sample, addedElsewhere, c, round)
		return k.itself(ctx, t, addedElsewhere, round)
	})
	return t.run, err
}

// paced makes count changes one after the other, at most one a pace. A negative time is
// a change that was not answered in time.
func paced(ctx context.Context, count int, pace time.Duration, once func(int) (time.Duration, error)) (sample Sample, err error) {
	var waits []time.Duration
	began := time.Now()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range count {
		wait, err := once(i)
		if err != nil {
			return sample, err
		}
		if sample.Asked++; wait < 0 {
			sample.Lost++
			wait = changePatience
		}
		waits = append(waits, wait)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return sample, ctx.Err()
		}
	}
	sample.Seconds = time.Since(began).Seconds()
	sample.quantiles(waits)
	return sample, nil
}

// An adder adds records by the records API of a node.
type adder struct {
	url, secret string
	round       int
	web         http.Client
}

// once adds a new name, and gives the time from then to its answer; -1 where none came
// in time.
func (d *adder) once(ctx context.Context, a *addressee, i int) (time.Duration, error) {
	name := fmt.Sprintf("added-%d-%d.%s.", d.round, i, origin)
	to := net.IPv4(10, 200, byte(i>>8), byte(i)).To4()
	query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		return 0, fmt.Errorf("ask: %w", err)
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- d.add(ctx, name, to.String()) }()
	buffer := make([]byte, 512)
	for time.Since(began) < changePatience && ctx.Err() == nil {
		if to.Equal(a.ask(query, buffer)) {
			took := time.Since(began)
			return took, <-done
		}
	}
	if err := <-done; err != nil {
		return 0, err
	}
	return -1, ctx.Err()
}

func (d *adder) add(ctx context.Context, name, to string) error {
	body, err := json.Marshal(map[string]any{"changes": []any{map[string]any{"op": "add", "name": name, "type": "A", "ttl": 30, "data": []string{to}}}})
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	request.Header.Set("Authorization", "Bearer "+d.secret)
	request.Header.Set("Content-Type", "application/json")
	response, err := d.web.Do(request)
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body) // to its end: the connection is kept
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	return nil
}
