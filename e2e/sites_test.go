package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/e2e/hosts"
	"github.com/strata-dns/strata/e2e/stack"
)

// A dc is one of two datacenters: all its servers are hosts of their own.
type dc struct {
	net            int // its addresses are 10.net.0.0/16
	site           *hosts.Site
	outbound       *hosts.Link // to the world
	authoritatives [2]*resident
	externals      [2]*resident // unbound, or a moody stand-in
	moody          [2]*moody
	recursors      [2]*resident
	node           *resident // nodecache
	*witness                 // a program beside it
}

// Two dcs and the world: an authoritative of ours that stands for the internet.
// Each has a line to the world, and one to the other.
type twoSites struct {
	*town
	dcs   [2]*dc
	inter *hosts.Link
	names atomic.Int64
}

// theirZone is the world's ourZone: x0 to x19999, and hot1 to hot9, whose TTL is as
// many seconds.
func theirZone() string {
	var b strings.Builder
	b.WriteString("$TTL 300\n@ IN SOA ns hostmaster 1 7200 1800 1209600 60\n@ IN NS ns\nns IN A 10.9.0.53\n" +
		"dns 0 IN A 192.0.2.8\n*.probe 1 IN A 192.0.2.9\n")
	for i := range 20000 {
		fmt.Fprintf(&b, "x%d IN A 198.18.%d.%d\n", i, i/250, i%250)
	}
	for i := 1; i <= 9; i++ {
		fmt.Fprintf(&b, "hot%d %d IN A 198.19.0.%d\n", i, i, i)
	}
	return b.String()
}

// truth is the data that a name of ours or the world's has.
func truth(name string) string {
	var i int
	if _, err := fmt.Sscanf(name, "x%d.", &i); err == nil {
		return fmt.Sprintf("198.18.%d.%d", i/250, i%250)
	}
	if _, err := fmt.Sscanf(name, "hot%d.", &i); err == nil {
		return fmt.Sprintf("198.19.0.%d", i)
	}
	return ours(name)
}

// foreign and own give names, theirs and ours, that nobody has been asked for; hot
// and inUse those that are asked for all the time.
func (s *twoSites) foreign() string { return fmt.Sprintf("x%d.example.net", s.names.Add(1)) }
func (s *twoSites) own() string     { return fmt.Sprintf("u%d.prd.example.com", s.names.Add(1)) }
func hot(i int) func() string {
	return func() string { return fmt.Sprintf("hot%d.example.net", i) }
}

const rootZone = "$TTL 3600\n@ IN SOA ns.example.net. hostmaster.example.net. 1 7200 1800 1209600 60\n@ IN NS ns.example.net.\n"

// An external resolver: an unbound that knows nothing and asks the world.
const externalConf = `
server:
	verbosity: 0
	interface: 0.0.0.0@5301
	do-ip6: no
	access-control: 10.0.0.0/8 allow
	num-threads: 1
	do-daemonize: no
	username: ""
	chroot: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: ""
	module-config: "iterator"
	root-hints: ""
	infra-keep-probing: yes
remote-control:
	control-enable: no
stub-zone:
	name: "."
	stub-addr: 10.9.0.53
	stub-prime: no
`

// Terms are what differs from story to story.
type terms struct {
	hold  time.Duration // the hold-down
	fakes bool          // dc1's external resolvers are stand-ins that can be told to fail
}

// newTwoSites makes them and waits until all answer.
func newTwoSites(t *testing.T, how terms) *twoSites {
	t.Helper()
	need(t, "unbound")
	s := &twoSites{town: newTown(t)}
	writeFile(t, s.dir+"/prd.zone", ourZone())
	writeFile(t, s.dir+"/net.zone", theirZone())
	writeFile(t, s.dir+"/root.zone", rootZone)
	world := s.site("world", 9)
	all := []*resident{s.settle(s.newHost(world, "world", "10.9.0.53"), "authoritative", fmt.Sprintf(
		"listen: [\"0.0.0.0:53\"]\nzones: [{name: \".\", source: file, file: %q}, {name: example.net, source: file, file: %q}]",
		s.dir+"/root.zone", s.dir+"/net.zone"))}
	var err error
	for i := range s.dcs {
		d := &dc{net: i + 1, site: s.site(fmt.Sprint("dc", i+1), i+1)}
		s.dcs[i] = d
		d.outbound, err = s.Join(d.site, world)
		must(t, err)
		for j := range d.authoritatives {
			d.authoritatives[j] = s.settle(s.at(d, "authoritative", 21+j), "authoritative",
				fmt.Sprintf("listen: [\"0.0.0.0:5300\"]\nzones: [{name: prd.example.com, source: file, file: %q}]", s.dir+"/prd.zone"))
			h := s.at(d, "external", 31+j)
			if how.fakes && i == 0 {
				d.moody[j] = newMoody(t, h)
			} else {
				d.externals[j] = s.unbound(h)
			}
		}
		all = append(all, d.authoritatives[:]...)
	}
	s.inter, err = s.Join(s.dcs[0].site, s.dcs[1].site)
	must(t, err)
	s.ready(all...)
	for _, d := range s.dcs {
		for j := range d.externals {
			s.answers(d, fmt.Sprintf("10.%d.0.%d:5301", d.net, 31+j))
		}
	}
	for _, d := range s.dcs {
		for j := range d.recursors {
			d.recursors[j] = s.settle(s.at(d, "recursor", 11+j), "recursor", fmt.Sprintf(recursorConfig, d.net, how.hold))
		}
	}
	for _, d := range s.dcs {
		s.ready(d.recursors[:]...)
		h := s.at(d, "node", 100)
		d.node = s.settle(h, "nodecache", fmt.Sprintf("listen: [\"127.0.0.1:53\"]\nupstreams: [\"10.%[1]d.0.11:53\", \"10.%[1]d.0.12:53\"]\n%[2]s", d.net, nodecacheCache))
		s.ready(d.node)
		d.witness = &witness{host: h, server: "127.0.0.1:53"}
		comesAbout(t, "first answers", func() bool { return !d.look(s.foreign()).failed() && !d.look(s.own()).failed() })
	}
	return s
}

const holdDown = 2 * time.Second

const recursorConfig = `
listen: ["0.0.0.0:53"]
site: dc%[1]d
allow: [10.0.0.0/8]
zones: [{names: [prd.example.com], servers: ["10.%[1]d.0.21:5300", "10.%[1]d.0.22:5300"]}]
external:
  sites:
    - {name: dc1, servers: ["10.1.0.31:5301", "10.1.0.32:5301"]}
    - {name: dc2, servers: ["10.2.0.31:5301", "10.2.0.32:5301"]}
  check: {interval: 1s, timeout: 1s, fall: 2, rise: 2, hold_down: %[2]s, zone: probe.example.net, expect: [{name: dns.example.net, type: A, data: 192.0.2.8}]}
cache: {size: 16MiB, stale_for: 1h, prefetch: true}`

// at adds a host to a dc, by the last octet of its address.
func (s *twoSites) at(d *dc, what string, last int) *hosts.Host {
	s.t.Helper()
	return s.newHost(d.site, fmt.Sprintf("%s-%d-%d", what, d.net, last), fmt.Sprintf("10.%d.0.%d", d.net, last))
}

func (s *twoSites) unbound(h *hosts.Host) *resident {
	s.t.Helper()
	path, err := lookPath("unbound")
	must(s.t, err)
	server := &stack.Server{Kind: stack.External, Config: filepath.Join(s.dir, h.Name+".conf")}
	server.Name, server.LogFile, server.Launch = h.Name, filepath.Join(s.dir, h.Name+".log"), h.Start
	server.Path, server.Args = path, []string{"-d", "-p", "-c", server.Config}
	writeFile(s.t, server.Config, fmt.Sprintf(externalConf, s.dir))
	return s.add(h, server)
}

// answers waits until a server of a dc resolves the world's names.
func (s *twoSites) answers(d *dc, server string) {
	s.t.Helper()
	w := &witness{host: d.authoritatives[0].host, server: server}
	comesAbout(s.t, server+" answers", func() bool { return !w.lookFor("ns.example.net", 500*time.Millisecond).failed() })
}

// asks has programs in both dcs ask until the function it returns is called: new
// names and names in use, theirs and ours.
func (s *twoSites) asks(t *testing.T) (stop func()) {
	var stops []func()
	for _, d := range s.dcs {
		stops = append(stops,
			d.every(25*time.Millisecond, s.foreign), d.every(100*time.Millisecond, s.own),
			d.every(50*time.Millisecond, hot(2)), d.every(50*time.Millisecond, inUse(3)))
	}
	stop = func() {
		for _, f := range stops {
			f()
		}
	}
	t.Cleanup(stop)
	return stop
}

// sound asserts what holds in every story: no wrong answer, and names in use and
// names of ours never fail.
func (d *dc) sound(t *testing.T) {
	t.Helper()
	where := fmt.Sprint(" in dc", d.net)
	d.record("").truthful(t, truth)
	d.record("hot").some(t, 50, "questions for names in use").failed().none(t, "failures of names in use"+where)
	d.record("warm").some(t, 50, "questions for names in use").failed().none(t, "failures of our names in use"+where)
	d.record("u").some(t, 20, "questions for new names of ours").failed().none(t, "failures of new names of ours"+where)
}

// recovers waits for a good answer to a new foreign name that was asked since, and
// gives how long after since it came.
func (d *dc) recovers(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	var first sighting
	comesAbout(t, "a good answer from the world", func() bool {
		good := d.record("x").between(since, time.Now()).which(func(s sighting) bool { return !s.failed() })
		if len(good) == 0 {
			return false
		}
		first = good[0]
		for _, s := range good {
			if s.asked.Add(s.took).Before(first.asked.Add(first.took)) {
				first = s
			}
		}
		return true
	})
	return first.asked.Add(first.took).Sub(since)
}

// calm asserts that new foreign names asked between two times were all answered.
func (d *dc) calm(t *testing.T, what string, from, to time.Time) {
	t.Helper()
	d.record("x").between(from, to).some(t, 10, "questions "+what).failed().none(t, "failures "+what+fmt.Sprint(" in dc", d.net))
}

// wrong is from when to when questions of a record failed, relative to a time.
func (r record) wrong(since time.Time) string {
	f := r.failed()
	if len(f) == 0 {
		return "none failed"
	}
	last := f[len(f)-1]
	return fmt.Sprintf("%d of %d failed, asked from %s to %s after", len(f), len(r),
		f[0].asked.Sub(since).Round(time.Millisecond), last.asked.Sub(since).Round(time.Millisecond))
}

// What programs in two datacenters see.
func TestSites(t *testing.T) {
	together(t, map[string]func(*testing.T){
		"outbound cut, restored, flapping":   outboundStory,
		"how long a swing takes":             swingTime,
		"lines slow and lossy":               badLines,
		"servers lost":                       serversLost,
		"inter-site line cut during a swing": interCutDuringSwing,
		"both outbounds cut":                 bothOutboundsCut,
		"resolvers that refuse":              func(t *testing.T) { badResolvers(t, servfail, refused) },
		"resolvers that know nothing new":    func(t *testing.T) { badResolvers(t, silent, outdated) },
	})
}

// quickEnough bounds how long after the loss of its outbound a site may be without a
// good answer to a new name, with a check every second.
const quickEnough = 1500 * time.Millisecond

// dc1 loses its way to the world, silently; gets it back; and then loses it every
// 1.4 s for half of that.
func outboundStory(t *testing.T) {
	s := newTwoSites(t, terms{hold: holdDown})
	d, other := s.dcs[0], s.dcs[1]
	stop := s.asks(t)
	time.Sleep(2 * time.Second)
	begun := time.Now()
	time.Sleep(time.Second)
	cut, machine := time.Now(), watchStrain()
	took := d.loseOutbound(t)
	time.Sleep(3 * time.Second)
	swung := time.Now()
	must(t, d.outbound.Lose(0))
	time.Sleep(5 * time.Second) // rise and hold-down
	away := d.askedAway(t)
	time.Sleep(time.Second)
	home := time.Now()
	if n := d.askedAway(t) - away; n > 0 {
		fail(t, "5 s after dc1 had its outbound again, dc2's resolvers were still asked %v times in a second", n)
	}

	for _, r := range d.recursors {
		for _, move := range [][]string{{`from="home"`, `to="swung"`}, {`from="swung"`, `to="home"`}} {
			if n := r.counted(t, "strata_failover_transitions_total", append(move, `of="fleet"`)...); n != 1 {
				fail(t, "%s counts %v times %v, want once", r.Name, n, move)
			}
		}
	}

	for range 4 {
		must(t, d.outbound.Lose(100))
		time.Sleep(700 * time.Millisecond)
		must(t, d.outbound.Lose(0))
		time.Sleep(700 * time.Millisecond)
	}
	steady := time.Now()
	time.Sleep(4 * time.Second)
	settled := time.Now()
	time.Sleep(time.Second)
	stop()

	r := d.record("x")
	t.Logf("outbound lost: first good answer to a new name after %s; %s", took.Round(time.Millisecond), r.between(cut, swung).wrong(cut))
	t.Logf("outbound back: %s", r.between(swung, home).wrong(swung))
	t.Logf("flapping: %s", r.between(home, steady).wrong(home))
	t.Logf("steady again: %s", r.between(steady, time.Now()).wrong(steady))
	machine.inTime(t, "the outbound lost, the first good answer to a new name came", took, quickEnough)
	// Who asks just before the loss may wait, and the two recursors swing apart.
	d.calm(t, "before the loss", begun, cut.Add(-500*time.Millisecond))
	d.calm(t, "while swung", cut.Add(took+time.Second), swung)
	d.calm(t, "on the way home", swung, home.Add(-500*time.Millisecond))
	d.calm(t, "after flapping", settled, time.Now())
	other.calm(t, "of who had no part in it", begun, time.Now())
	d.sound(t)
	other.sound(t)
}

// loseOutbound takes a dc's outbound away, and gives how long after it the first good
// answer to a new name came, of those asked since.
func (d *dc) loseOutbound(t *testing.T) time.Duration {
	t.Helper()
	const nft = 100 * time.Millisecond // which needs its time, too
	cut := time.Now()
	must(t, d.outbound.Lose(100))
	return d.recovers(t, cut.Add(nft)) + nft
}

// dc1 loses its outbound six times, at different moments between two checks, and
// comes home in between: there is no hold-down, which would grow.
func swingTime(t *testing.T) {
	s := newTwoSites(t, terms{})
	d := s.dcs[0]
	stop := s.asks(t)
	// How long a check may take goes by how long checks took lately: those of all
	// these processes' start are to be forgotten.
	time.Sleep(4 * time.Second)
	var times []time.Duration
	begun, machine := time.Now(), watchStrain()
	for i := range 6 {
		times = append(times, d.loseOutbound(t))
		time.Sleep(500 * time.Millisecond)
		must(t, d.outbound.Lose(0))
		s.homeAlone(t, d)
		time.Sleep(time.Duration(i) * 170 * time.Millisecond)
	}
	ended := time.Now()
	stop()
	worst := slices.Max(times)
	t.Logf("first good answers to new names after losses: %s, with somebody waiting for a processor %.0f %% of the time; the worst %s; of all new names meanwhile: %s",
		times, 100*machine.share(), worst.Round(time.Millisecond), d.record("x").between(begun, ended).wrong(begun))
	machine.inTime(t, "the outbound lost, the first good answer to a new name came", worst, quickEnough)
	d.record("x").failed().seldom(t, d.record("x"), "failed, though others could have answered")
	d.sound(t)
}

// homeAlone waits until a dc's recursors have its own external resolvers alone serve.
func (s *twoSites) homeAlone(t *testing.T, d *dc) {
	t.Helper()
	comesAbout(t, fmt.Sprintf("dc%d is served by its own resolvers alone", d.net), func() bool {
		for _, r := range d.recursors {
			if r.counted(t, "strata_failover_serving", fmt.Sprintf(`site="dc%d"`, 3-d.net)) > 0 {
				return false
			}
		}
		return true
	})
}

// dc1's outbound loses a fifth of all packets, each way; then it is lost, and the line
// to dc2, which takes its place, is slow. Neither costs answers.
func badLines(t *testing.T) {
	s := newTwoSites(t, terms{hold: holdDown})
	d := s.dcs[0]
	stop := s.asks(t)
	time.Sleep(3 * time.Second)
	lossy := time.Now()
	must(t, d.outbound.Lose(20))
	time.Sleep(5 * time.Second)
	mended := time.Now()
	must(t, d.outbound.Lose(0))
	must(t, s.inter.Delay(20*time.Millisecond, 60*time.Millisecond))
	time.Sleep(5 * time.Second)
	s.homeAlone(t, d)
	cut, machine := time.Now(), watchStrain()
	took := d.loseOutbound(t)
	time.Sleep(4 * time.Second)
	end := time.Now()
	stop()
	r := d.record("x")
	a, b := r.between(lossy, mended), r.between(cut, end)
	t.Logf("outbound lossy: %s, the slowest %s", a.wrong(lossy), a.slowest().Round(time.Millisecond))
	t.Logf("outbound lost, the line to dc2 slow: first good answer after %s; %s; once swung the slowest took %s",
		took.Round(time.Millisecond), b.wrong(cut), r.between(cut.Add(2*time.Second), end).slowest().Round(time.Millisecond))
	a.failed().seldom(t, a, "failed for a lossy line")
	b.failed().seldom(t, b, "failed, though dc2 could have answered")
	machine.inTime(t, "over a slow line the first good answer came", took, quickEnough)
	d.sound(t)
	s.dcs[1].sound(t)
}

// askedAway is how many queries the dc's recursors have sent to the other dc's
// external resolvers, checks aside.
func (d *dc) askedAway(t *testing.T) (n float64) {
	t.Helper()
	for _, r := range d.recursors {
		n += r.counted(t, "strata_upstream_exchanges_total", fmt.Sprintf("10.%d.0.3", 3-d.net), `what="asked"`)
	}
	return n
}

// An authoritative of dc1 ends, another's cable is cut, then half of the recursors
// are lost.
func serversLost(t *testing.T) {
	s := newTwoSites(t, terms{hold: holdDown})
	d, other := s.dcs[0], s.dcs[1]
	stop := s.asks(t)
	time.Sleep(1500 * time.Millisecond)
	began := time.Now()
	must(t, d.authoritatives[0].Kill())
	must(t, other.authoritatives[1].host.Link.Cut())
	time.Sleep(3 * time.Second)
	must(t, d.recursors[0].host.Link.Lose(100))
	must(t, other.recursors[1].Kill())
	time.Sleep(3 * time.Second)
	must(t, d.authoritatives[0].Start())
	must(t, d.recursors[0].host.Link.Lose(0))
	must(t, other.authoritatives[1].host.Link.Mend())
	must(t, other.recursors[1].Start())
	time.Sleep(2 * time.Second)
	stop()
	for _, d := range s.dcs {
		r := d.record("").between(began, time.Now())
		r.failed().none(t, fmt.Sprint("failures in dc", d.net))
		// One hedge of nodecache and one of the recursor.
		r.slower(900*time.Millisecond).seldom(t, r, fmt.Sprint("took longer than two hedges in dc", d.net))
		t.Logf("dc%d: %d questions, %d took more than 50 ms, the slowest %s", d.net, len(r), len(r.slower(50*time.Millisecond)), r.slowest().Round(time.Millisecond))
		d.sound(t)
	}
}

// dc1 lives off dc2's resolvers when the line between the two is cut: new names
// fail with a reason, all others are answered; with the line back all is well.
func interCutDuringSwing(t *testing.T) {
	s := newTwoSites(t, terms{hold: holdDown})
	d, other := s.dcs[0], s.dcs[1]
	stop := s.asks(t)
	time.Sleep(1500 * time.Millisecond)
	began := time.Now()
	must(t, d.outbound.Cut())
	d.recovers(t, began.Add(100*time.Millisecond))
	time.Sleep(2 * time.Second)
	cut := time.Now()
	must(t, s.inter.Lose(100))
	time.Sleep(4 * time.Second)
	mended := time.Now()
	must(t, s.inter.Lose(0))
	took := d.recovers(t, mended)
	time.Sleep(2 * time.Second)
	home := time.Now()
	must(t, d.outbound.Mend())
	time.Sleep(5 * time.Second)
	stop()

	r := d.record("x")
	t.Logf("outbound cut: %s", r.between(began, cut).wrong(began))
	t.Logf("line cut: %s; good answers %s after it was mended", r.between(cut, mended).wrong(cut), took.Round(time.Millisecond))
	t.Logf("outbound mended: %s", r.between(home, time.Now()).wrong(home))
	d.toldWhy(t, r.between(cut.Add(500*time.Millisecond), mended.Add(-2*time.Second)))
	if took > 3*time.Second {
		fail(t, "the first good answer came %s after the line was mended", took)
	}
	d.calm(t, "with the line mended", mended.Add(time.Second), home.Add(-100*time.Millisecond))
	d.calm(t, "after the way home", home.Add(time.Second), time.Now())
	other.calm(t, "of who had no part in it", began, time.Now())
	d.sound(t)
	other.sound(t)
}

// toldWhy asserts that questions failed in time, for the reason that nobody could be
// asked (RFC 8914 §4.23, §4.24).
func (d *dc) toldWhy(t *testing.T, r record) {
	t.Helper()
	r.some(t, 20, "questions without a way out")
	r.which(func(s sighting) bool {
		return !s.failed() || s.err != nil || s.ede != int(dns.ExtendedErrorCodeNoReachableAuthority) && s.ede != int(dns.ExtendedErrorCodeNetworkError)
	}).none(t, "that did not fail with the reason")
	r.slower(2500*time.Millisecond).seldom(t, r, "took longer than 1.8 s and some")
}

// Neither dc reaches the world.
func bothOutboundsCut(t *testing.T) {
	s := newTwoSites(t, terms{hold: holdDown})
	stop := s.asks(t)
	time.Sleep(1500 * time.Millisecond)
	cut := time.Now()
	for _, d := range s.dcs {
		must(t, d.outbound.Lose(100))
	}
	time.Sleep(6 * time.Second)
	mended := time.Now()
	must(t, s.dcs[1].outbound.Lose(0))
	var took [2]time.Duration
	for i, d := range s.dcs {
		took[i] = d.recovers(t, mended)
	}
	time.Sleep(3 * time.Second)
	must(t, s.dcs[0].outbound.Lose(0))
	time.Sleep(4 * time.Second)
	stop()
	for i, d := range s.dcs {
		r := d.record("x")
		t.Logf("dc%d, cut: %s", d.net, r.between(cut, mended).wrong(cut))
		t.Logf("dc%d, dc2's outbound back: first good answer after %s; %s", d.net, took[i].Round(time.Millisecond), r.between(mended, time.Now()).wrong(mended))
		d.toldWhy(t, r.between(cut.Add(500*time.Millisecond), mended.Add(-2*time.Second)))
		if took[i] > 4*time.Second {
			fail(t, "dc%d: the first good answer came %s after dc2 had its outbound again", d.net, took[i])
		}
		d.calm(t, "at the end", time.Now().Add(-3*time.Second), time.Now())
		// Names in use are old by then, and said to be.
		known := d.record("hot").between(cut.Add(4*time.Second), mended).some(t, 20, "questions for names in use while cut")
		known.which(func(s sighting) bool { return !s.stale() || s.ttl > 30 }).none(t, "answers that do not say how old they are")
		fresh := d.record("hot").between(mended, time.Now()).which(func(s sighting) bool { return !s.stale() })
		if len(fresh) > 0 {
			t.Logf("dc%d: names in use were fresh again %s after", d.net, fresh[0].asked.Sub(mended).Round(time.Millisecond))
		} else {
			t.Logf("dc%d: names in use are not fresh again %s after", d.net, time.Since(mended).Round(time.Second))
		}
		d.sound(t)
	}
}

// One of dc1's resolvers fails in some way, and then both.
func badResolvers(t *testing.T, ways ...temper) {
	s := newTwoSites(t, terms{hold: holdDown, fakes: true})
	d := s.dcs[0]
	stop := s.asks(t)
	time.Sleep(3 * time.Second)
	for _, m := range ways {
		one := time.Now()
		d.moody[0].temper.Store(int32(m))
		time.Sleep(2500 * time.Millisecond)
		both, machine := time.Now(), watchStrain()
		d.moody[1].temper.Store(int32(m))
		took := d.recovers(t, both.Add(5*time.Millisecond))
		time.Sleep(2500 * time.Millisecond)
		good := time.Now()
		d.moody[0].temper.Store(int32(helpful))
		d.moody[1].temper.Store(int32(helpful))
		time.Sleep(5 * time.Second)
		end := time.Now()
		r := d.record("x")
		t.Logf("%s: one: %s, the slowest %s; both: first good answer after %s, %s; helpful again: %s", m,
			r.between(one, both.Add(-200*time.Millisecond)).wrong(one), r.between(one, both.Add(-200*time.Millisecond)).slowest().Round(time.Millisecond),
			took.Round(time.Millisecond), r.between(both, good).wrong(both), r.between(good, end).wrong(good))
		r.between(one, both.Add(-200*time.Millisecond)).failed().none(t, fmt.Sprintf("failures while one of two resolvers is %s", m))
		machine.inTime(t, fmt.Sprintf("with both resolvers %s the first good answer to a new name came", m), took, quickEnough)
		d.calm(t, fmt.Sprintf("once both resolvers are %s", m), both, good)
		d.calm(t, fmt.Sprintf("behind resolvers that were %s", m), good, end.Add(-200*time.Millisecond))
	}
	stop()
	d.sound(t)
	s.dcs[1].sound(t)
}
