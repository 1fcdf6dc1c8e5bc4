package resolvconf

import (
	"fmt"
	"slices"
	"strings"
)

// A Report is what is to be said about a file.
type Report struct {
	Wrong []string // in the manner of a diff, with reasons
	Notes []string // worth knowing
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// differ says what stands there and what should, and why.
func (r *Report) differ(is, want []string, why string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", why)
	for _, l := range is {
		b.WriteString("\n- " + l)
	}
	for _, l := range want {
		b.WriteString("\n+ " + l)
	}
	r.Wrong = append(r.Wrong, b.String())
}

// Check compares what a file means with what is wanted, however it came to say so.
// junk are the search domains whose junk nodecache answers itself.
func (f *File) Check(w Wanted, junk []string) (r Report, err error) {
	now, err := inspect(f.Path)
	if err != nil {
		return r, fmt.Errorf("check %s: %w", f.Path, err)
	}
	s := Parse(now.content)
	r.place(&now)
	r.servers(&s, &w)
	r.search(&s, &w)
	r.options(&s)
	r.explain(&s, junk)
	return r, nil
}

// place says what the file is, and who else has to do with it.
func (r *Report) place(now *target) {
	is := now.unseal()
	m, linked := linkedBy(now.link)
	writer, written := writtenBy(now.content)
	switch {
	case !now.exists:
		r.note("there is no file: programs ask 127.0.0.1")
	case linked:
		r.note("it is a link to %s, which %s keeps: %s", now.link, m.name, m.advice)
	case now.link != "":
		r.note("it is a link to %s", now.link)
	case is.ours && !is.intact:
		r.note("somebody has changed it since nodecache wrote it")
	case !is.ours && written:
		r.note("%s writes it, and will again: %s", writer.name, writer.advice)
	}
}

func (r *Report) servers(s *Settings, w *Wanted) {
	if len(s.Servers) > maxServers {
		r.note("glibc asks three servers at most: %s is never asked", s.Servers[maxServers])
	}
	if slices.Equal(s.asked(), w.Servers) {
		return
	}
	is, want := []string{}, []string{}
	for _, a := range s.Servers {
		is = append(is, nameserver+" "+a.String())
	}
	for _, a := range w.Servers {
		want = append(want, nameserver+" "+a.String())
	}
	why := "servers are asked in this order, so nodecache comes first and the site's recursors follow for when it is gone"
	r.differ(is, want, why)
}

func (r *Report) search(s *Settings, w *Wanted) {
	if w.KeepSearch || len(s.Search) < 2 {
		return
	}
	r.differ([]string{search + " " + strings.Join(s.Search, " ")}, []string{domain + " " + s.Search[0]},
		"each domain of a search list is tried with every short name, one question more for each (or --search keep)")
}

func (r *Report) options(s *Settings) {
	if s.Rotate {
		r.differ([]string{options + " rotate"}, nil, "rotate takes turns: two of three questions would go past nodecache")
	}
	if added := s.missing(); added != "" {
		r.differ(nil, []string{options + " " + added},
			fmt.Sprintf("a program waits %d s for a server that hangs, and tries %d times; nodecache answers within 1.8 s, with an old answer if it has to", s.Timeout, s.Attempts))
	}
	if s.has("timeout:") && s.Timeout < wantedTimeout {
		r.note("timeout:%d gives up before nodecache's old answers come (1.8 s), and asks past it", s.Timeout)
	}
}
