package zone

import (
	"strings"
	"testing"
)

// What $GENERATE makes has the TTL of $TTL where it says none (RFC 2308 §4), and what is
// behind it has its own.
func TestGenerated(t *testing.T) {
	const soa = "@ 60 SOA ns h 1 2 3 4 5\n"
	for _, row := range []struct{ text, ttl string }{
		{"$TTL 60\n" + soa + "$GENERATE 1-2 g$ A 10.0.0.$\n", "60"},
		{"$TTL 60\r\n" + soa + "$GENERATE 1-2 g$ A 10.0.0.$\r\n", "60"},
		{"$TTL 60\n" + soa + "$GENERATE 1-2 g$ A 10.0.0.$", "60"},
		{"$ttl 1h30m ; five thousand\n" + soa + "$generate 1-2 g$ in A 10.0.0.$ ; x\n", "5400"},
		{"$TTL 60\n" + soa + "$GENERATE 1-2 g$ 30 A 10.0.0.$\n", "30"},
		{"$TTL 60\n" + soa + "$GENERATE 1-2 g$ IN 30s A 10.0.0.$\n", "30"},
		{"$TTL 60\n" + soa + "$TTL 70\n$GENERATE 1-1 g$ A 10.0.0.$\n$TTL 80\n$ORIGIN test.\n$GENERATE 2-2 h$ A 10.0.0.$\n", "70"},
		{"$TTL 60\n" + soa + "x A 10.0.0.1\n$GENERATE 1-2 g$ A 10.0.0.$\n\n; x\ny 3600 TXT y\nz TXT z\n", "60"},
	} {
		got := outcomeOf(t, row.text)
		if !strings.Contains(got, "\ng1.test. "+row.ttl+" A ") {
			t.Errorf("%q: %s", row.text, got)
		}
		for line, in := range map[string]string{"h2.test. 80 A ": "h$", "y.test. 3600 TXT ": "y 3600", "z.test. 60 TXT ": "z TXT"} {
			if strings.Contains(row.text, in) && !strings.Contains(got, "\n"+line) {
				t.Errorf("%q: no %q in %s", row.text, line, got)
			}
		}
	}
}
