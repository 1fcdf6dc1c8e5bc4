package stack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// readyLimit is how long a process may take until it serves: an etcd election on
// a busy machine among it.
const readyLimit = time.Minute

// pause is the time between two looks at something that is to come about.
const pause = 10 * time.Millisecond

// Ready waits until a server serves. Errors: it ended instead, or did not become
// ready in a minute; both with what it said last.
func (s *Stack) Ready(ctx context.Context, server *Server) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var why string
	err := Until(ctx, func() bool {
		if !server.Running() {
			why = "it ended"
			return true
		}
		why = server.unready(ctx)
		return why == ""
	})
	if why != "" || err != nil {
		return fmt.Errorf("wait for %s: %s; its log ends:\n%s", server.Name, why, server.Tail(20))
	}
	return nil
}

// Until looks until something holds. The error is that of ctx.
func Until(ctx context.Context, holds func() bool) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// unready says why a server is not ready, "" when it is.
func (s *Server) unready(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if s.Admin == "" {
		query := new(dns.Msg).SetQuestion("ns.example.net.", dns.TypeA)
		if reply, err := dns.ExchangeContext(ctx, query, s.Address); err != nil {
			return err.Error()
		} else if len(reply.Answer) == 0 {
			return "it answers " + dns.RcodeToString[reply.Rcode]
		}
		return ""
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/readyz", nil)
	if err != nil {
		return err.Error()
	}
	response, err := pages.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return response.Status + " " + strings.TrimSpace(string(text))
	}
	return ""
}

// IsReady tells whether /readyz says so now, and why not.
func (s *Server) IsReady(ctx context.Context) (ready bool, why string) {
	why = s.unready(ctx)
	return why == "", why
}

// pages asks the admin pages; connections are not kept, since servers come and go.
var pages = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
