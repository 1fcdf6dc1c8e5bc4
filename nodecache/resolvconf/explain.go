package resolvconf

import (
	"fmt"
	"slices"
	"strings"
)

// example is a name that is whole: two dots.
const example = "api.github.com"

// explain says what ndots and the search list cost, with the file's numbers.
func (r *Report) explain(s *Settings, junk []string) {
	domains := slices.DeleteFunc(slices.Clone(s.Search), func(d string) bool { return d == "." })
	k := len(domains)
	if k == 0 {
		r.note("ndots:%d without a domain: each name is asked for as it is, one question and one for AAAA", s.NDots)
		return
	}
	if dots := strings.Count(example, "."); dots < s.NDots {
		r.note("ndots:%d with %s: a name with fewer than %d dots is tried with each domain first: %s costs %d questions (%d names, each for A and AAAA), %s first; with a dot at its end it costs 2",
			s.NDots, list(domains), s.NDots, example, 2*(k+1), k+1, example+"."+domains[0])
	} else {
		r.note("ndots:%d with %s: a name with at least %s is asked for as it is first: %s costs 2 questions, A and AAAA; one that does not exist costs %d",
			s.NDots, list(domains), plural(s.NDots, "dot"), example, 2*(k+1))
	}
	var covered, others []string
	for _, d := range domains {
		if slices.ContainsFunc(junk, func(j string) bool { return sameName(d, j) }) {
			covered = append(covered, d)
		} else {
			others = append(others, d)
		}
	}
	if len(covered) > 0 {
		r.note("nodecache answers %s.%s and the like itself: nothing goes upstream", example, covered[0])
	}
	if len(others) > 0 {
		r.note("%s: not in policy.search, so %s.%s and the like go upstream", strings.Join(others, ", "), example, others[0])
	}
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

func list(domains []string) string {
	return fmt.Sprintf("%s (%s)", plural(len(domains), "domain"), strings.Join(domains, ", "))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
