package world

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Zone is a zone's apex and file.
type Zone struct{ Apex, File string }

// A Tree is the zones of the small internet, by the server they are on.
type Tree struct {
	Root, Top   Zone
	Leaves      []Zone
	BelowLeaves []Zone
	Hints       string // file of root hints
	Anchor      string // file of the root's DS, as unbound reads it
	BindAnchor  string // the same, as delv does

	dir  string
	addr Addresses
	top  strings.Builder // the delegations of test.
}

// Addresses are those of the tree's servers; some may be the same. Without Geo there is
// no geo.test.
type Addresses struct{ Root, Top, Leaves, BelowLeaves, Geo string }

const head = "$TTL 300\n@ 300 IN SOA ns hostmaster 1 7200 1800 1209600 60\n@ IN NS ns\n"

// Leaf is what each leaf zone holds, besides its SOA and NS: names for every kind of
// answer, positive, NODATA, NXDOMAIN, wildcard, alias.
const Leaf = `
www       A     192.0.2.1
www       AAAA  2001:db8::1
two       A     192.0.2.2
two       A     192.0.2.3
a.b.ent   A     192.0.2.4
*.wild    A     192.0.2.5
x.wild    TXT   "closer"
alias     CNAME www
*.many    CNAME www
*.away    CNAME nothing
*.down    CNAME www.insecure
dname     DNAME www
into      DNAME ent
mail      MX    10 www
_s._tcp   SRV   0 0 80 www
inside    A     10.1.2.3
`

// Plant makes the tree in a folder:
//
//	.  ─ test. ┬ nsec.test, nsec3.test, optout.test  signed; each ─ insecure.…
//	           ├ plain.test                          not signed
//	           ├ bogus.test                          signed; bad.bogus.test's data was changed
//	           ├ expired.test                        signed until yesterday
//	           └ geo.test                            not signed, and served by the test itself
func Plant(dir string, addr Addresses) (*Tree, error) {
	t := &Tree{dir: dir, addr: addr}
	for _, leaf := range []struct {
		name   string
		denial Denial
		more   []string
	}{{"nsec", NSEC, nil}, {"nsec3", NSEC3, nil}, {"optout", OptOut, nil}, {"bogus", NSEC, nil},
		{"expired", NSEC, []string{"-s", "now-864000", "-e", "now-86400", "-P"}}} {
		if err := t.leaf(leaf.name+".test", leaf.denial, leaf.more); err != nil {
			return nil, err
		}
	}
	if err := t.plain("plain.test", t.addr.Leaves, &t.Leaves); err != nil {
		return nil, err
	}
	fmt.Fprintf(&t.top, "plain NS ns.plain\nns.plain A %s\n", addr.Leaves)
	if addr.Geo != "" {
		fmt.Fprintf(&t.top, "geo NS ns.geo\nns.geo A %s\n", addr.Geo)
	}
	top, err := Sign(dir, "test.", head+"ns A "+addr.Top+"\n"+t.top.String(), OptOut)
	if err != nil {
		return nil, err
	}
	t.Top = Zone{"test", top.File}
	root, err := Sign(dir, ".", fmt.Sprintf("$TTL 300\n@ 300 IN SOA ns.root. hostmaster.root. 1 7200 1800 1209600 60\n@ IN NS ns.root.\nns.root. A %s\ntest. NS ns.test.\nns.test. A %s\n%s", addr.Root, addr.Top, top.DS), NSEC)
	if err != nil {
		return nil, err
	}
	t.Root = Zone{".", root.File}
	return t, t.anchors(root.DS)
}

// leaf makes a signed zone and the unsigned one below it.
func (t *Tree) leaf(apex string, denial Denial, more []string) error {
	text := head + "ns A " + t.addr.Leaves + Leaf + "insecure NS ns.insecure\nns.insecure A " + t.addr.BelowLeaves + "\n"
	if apex == "bogus.test" {
		text += "bad A 192.0.2.66\n"
	}
	s, err := Sign(t.dir, apex+".", text, denial, more...)
	if err != nil {
		return err
	}
	if apex == "bogus.test" {
		if err := tamper(s.File); err != nil {
			return err
		}
	}
	t.Leaves = append(t.Leaves, Zone{apex, s.File})
	name := strings.TrimSuffix(apex, ".test")
	fmt.Fprintf(&t.top, "%s NS ns.%s\nns.%s A %s\n%s", name, name, name, t.addr.Leaves, s.DS)
	return t.plain("insecure."+apex, t.addr.BelowLeaves, &t.BelowLeaves)
}

// plain makes a zone that is not signed.
func (t *Tree) plain(apex, server string, on *[]Zone) error {
	z := Zone{apex, filepath.Join(t.dir, apex+".zone")}
	*on = append(*on, z)
	return os.WriteFile(z.File, []byte(head+"ns A "+server+Leaf), 0o600)
}

// tamper changes data behind its signature.
func tamper(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, bytes.ReplaceAll(b, []byte("192.0.2.66"), []byte("192.0.2.99")), 0o600)
}

// anchors writes what resolvers begin with.
func (t *Tree) anchors(rootDS string) error {
	t.Hints, t.Anchor, t.BindAnchor = filepath.Join(t.dir, "root.hints"), filepath.Join(t.dir, "root.key"), filepath.Join(t.dir, "bind.keys")
	hints := fmt.Sprintf(". 300 NS ns.root.\nns.root. 300 A %s\n", t.addr.Root)
	f := strings.Fields(rootDS) // . IN DS tag algorithm digest-type digest
	bind := fmt.Sprintf("trust-anchors {\n\t. static-ds %s %s %s \"%s\";\n};\n", f[3], f[4], f[5], strings.Join(f[6:], ""))
	for file, text := range map[string]string{t.Hints: hints, t.Anchor: rootDS, t.BindAnchor: bind} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
