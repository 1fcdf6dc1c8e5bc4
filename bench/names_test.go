package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestHostNames(t *testing.T) {
	seen := map[string]int{}
	shortest, longest := 255, 0
	for _, first := range []int{0, 255, 65_000, 1_999_000, firstMissing} {
		for i := first; i < first+1000; i++ {
			name := hostName(i)
			if j, twice := seen[name]; twice && i != j {
				t.Fatalf("hosts %d and %d are both %s", i, j, name)
			}
			seen[name] = i
			if _, ok := dns.IsDomainName(name + "." + origin); !ok {
				t.Fatalf("host %d: %q is no name", i, name)
			}
			shortest, longest = min(shortest, len(name)), max(longest, len(name))
		}
	}
	if shortest > 8 || longest < 45 || longest > 63 {
		t.Errorf("lengths %d to %d are not the mix that is promised", shortest, longest)
	}
	// Pinned: figures of two revisions compare only over the same names.
	if got, want := hostName(12345), "payment-gateway-9ix.staging.svc.dc1"; got != want {
		t.Errorf("host 12345 is %q, want %q", got, want)
	}
}

// The zone file must mean what the questions suppose.
func TestZoneHoldsWhatIsAsked(t *testing.T) {
	const hosts = 500
	dir := t.TempDir()
	zone, asked, half, each := filepath.Join(dir, "zone"), filepath.Join(dir, "q"), filepath.Join(dir, "h"), filepath.Join(dir, "e")
	for _, err := range []error{writeZone(zone, hosts), writeQueries(asked, hosts, 300, false), writeQueries(half, hosts, 300, true), writeEach(each, hosts)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(zone)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	held := map[string]string{}
	parser := dns.NewZoneParser(f, "", zone)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if a, ok := rr.(*dns.A); ok {
			held[a.Hdr.Name] = a.A.String()
		}
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	if len(held) != hosts+1 { // and the name server
		t.Errorf("the zone holds %d addresses", len(held))
	}
	for i := range hosts {
		if held[hostName(i)+"."+origin+"."] != address(i) {
			t.Fatalf("host %d is %q", i, held[hostName(i)+"."+origin+"."])
		}
	}
	for _, c := range []struct {
		file        string
		there, gone int
	}{{asked, 300, 0}, {half, 150, 150}, {each, hosts, 0}} {
		if there, gone := count(t, c.file, held); there != c.there || gone != c.gone {
			t.Errorf("%s asks for %d that exist and %d that do not, want %d and %d", filepath.Base(c.file), there, gone, c.there, c.gone)
		}
	}
}

func count(t *testing.T, file string, held map[string]string) (there, gone int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, ok := strings.CutSuffix(lines.Text(), " A")
		if !ok {
			t.Fatalf("query %q", lines.Text())
		}
		if held[name+"."] != "" {
			there++
		} else {
			gone++
		}
	}
	return there, gone
}
