package admin

import (
	"bytes"
	_ "embed" // the page's template
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page answers the page for people.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	overview := s.source.Overview()
	figures, err := Figures(s.source.Registry())
	view := struct {
		Overview
		Uptime  time.Duration
		Waits   []string
		Figures []Figure
		Error   error
	}{overview, time.Since(overview.Started).Round(time.Second), nil, figures, err}
	if !overview.Ready {
		view.Waits = waits(overview)
	}
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, view); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(body.Bytes()) // an asker that left needs no answer
}
