package admin

import (
	"fmt"
	"net/http"
	"strings"
)

// livez answers 200 while no task is stuck: whoever restarts the process on 503
// does right.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	if s.source.Overview().Alive {
		answer(w, http.StatusOK, "alive\n")
		return
	}
	answer(w, http.StatusServiceUnavailable, "a task is stuck\n")
}

// readyz answers 200 while the daemon serves, else 503 and why; ?verbose lists
// every task.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	overview := s.source.Overview()
	code, text := http.StatusOK, "ready\n"
	if !overview.Ready {
		code, text = http.StatusServiceUnavailable, "not ready: "+strings.Join(waits(overview), "; ")+"\n"
	}
	if r.URL.Query().Has("verbose") {
		text = verbose(overview) + text
	}
	answer(w, code, text)
}

// waits says what the daemon is waiting for.
func waits(o Overview) []string {
	if o.Draining {
		return []string{"draining"}
	}
	var waits []string
	for _, task := range o.Tasks {
		if !task.Ready {
			waits = append(waits, because(task))
		}
	}
	if len(waits) == 0 {
		return []string{"starting"}
	}
	return waits
}

func verbose(o Overview) string {
	var b strings.Builder
	for _, task := range o.Tasks {
		if task.Ready {
			fmt.Fprintf(&b, "[+] %s: ready", task.Name)
			if task.Reason != "" {
				fmt.Fprintf(&b, " (%s)", task.Reason)
			}
			b.WriteByte('\n')
			continue
		}
		fmt.Fprintf(&b, "[-] %s\n", because(task))
	}
	return b.String()
}

func because(t Task) string {
	if t.Reason == "" {
		return t.Name + ": not ready"
	}
	return t.Name + ": " + t.Reason
}

// status answers what the source says of itself, as JSON.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(s.source.Status(), '\n')) // an asker that left needs no answer
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // as above
}
