package policy

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func limiter(t testing.TB, c Rate) *Limiter {
	t.Helper()
	l, err := NewLimiter(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func clientNo(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24+uint32(i))
	return netip.AddrFrom4(b)
}

func passed(l *Limiter, client netip.Addr, now time.Time, queries int) (n int) {
	for range queries {
		if l.Ask(client, now) == Pass {
			n++
		}
	}
	return n
}

func TestLimit(t *testing.T) {
	l := limiter(t, Rate{PerSecond: 10, Burst: 5, Slip: 1})
	now := l.start
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	if n := passed(l, a, now, 20); n != 5 {
		t.Errorf("a burst of %d", n)
	}
	if n := passed(l, b, now, 20); n != 5 {
		t.Errorf("another client's burst of %d", n)
	}
	if n := passed(l, a, now.Add(300*time.Millisecond), 20); n != 3 {
		t.Errorf("%d good after 300 ms, want 3", n)
	}
	if n := passed(l, a, now.Add(time.Hour), 20); n != 5 {
		t.Errorf("%d good after an hour, want a burst", n)
	}
	if act := l.Ask(a, now.Add(time.Hour)); act != Truncate {
		t.Errorf("with a slip of 1: %v", act)
	}
	if limited, full := l.Limited(); limited != 15+15+17+15+1 || full != 0 {
		t.Errorf("limited %d, full %d", limited, full)
	}
}

func TestLimitPrefixes(t *testing.T) {
	l := limiter(t, Rate{PerSecond: 1, Burst: 1, Exempt: []string{"127.0.0.0/8"}})
	now := l.start.Add(time.Second)
	for _, c := range []struct {
		client string
		want   Action
	}{
		{"2001:db8:0:1::1", Pass},
		{"2001:db8:0:2::1", Drop}, // the same /56
		{"2001:db8:0:100::1", Pass},
		{"192.0.2.1", Pass},
		{"::ffff:192.0.2.1", Drop},
		{"192.0.2.2", Pass},
		{"fe80::1%eth0", Pass},
		{"fe80::1%eth1", Drop},
		{"127.0.0.1", Pass},
		{"127.0.0.1", Pass},
	} {
		if got := l.Ask(netip.MustParseAddr(c.client), now); got != c.want {
			t.Errorf("%s: %v, want %v", c.client, got, c.want)
		}
	}
}

func TestNoLimit(t *testing.T) {
	var l *Limiter = limiter(t, Rate{})
	if l != nil || l.Ask(local, time.Time{}) != Pass {
		t.Error("a limiter that is off limits")
	}
}

// One table of 64 and very many clients: those without a place are limited, and
// when the others are quiet their places are free again.
func TestFullTableFailsClosed(t *testing.T) {
	l := limiter(t, Rate{PerSecond: 1, Burst: 1, Clients: 64})
	good := 0
	for i := range 10_000 {
		good += passed(l, clientNo(i), l.start, 1)
	}
	// A client whose tag another one has (16 bits, 8 places) shares that one's place.
	if limited, full := l.Limited(); good != 64 || limited != 10_000-64 || full < limited-50 {
		t.Errorf("%d clients had a place, %d were limited, %d had none", good, limited, full)
	}
	if l.Ask(clientNo(20_000), l.start.Add(2*time.Second)) != Pass {
		t.Error("quiet clients keep their places")
	}
}

func TestSlip(t *testing.T) {
	l := limiter(t, Rate{PerSecond: 1, Burst: 1, Slip: 4})
	slipped := 0
	for range 40_001 {
		if l.Ask(local, l.start) == Truncate {
			slipped++
		}
	}
	if slipped < 9_000 || slipped > 11_000 { // 10 standard deviations
		t.Errorf("%d of 40000 slipped, want a quarter", slipped)
	}
}

// All workers together give a client no more than its burst.
func TestLimitFromManyWorkers(t *testing.T) {
	l := limiter(t, Rate{PerSecond: 1000, Burst: 1000})
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { good.Add(int64(passed(l, local, l.start, 1000))) })
	}
	wg.Wait()
	if good.Load() != 1000 {
		t.Errorf("%d good of a burst of 1000", good.Load())
	}
}

func TestLimitAllocatesNothing(t *testing.T) {
	l := limiter(t, Rate{PerSecond: 10, Slip: 2, Exempt: []string{"10.0.0.0/8"}})
	client, now := netip.MustParseAddr("2001:db8::1"), time.Now()
	if n := testing.AllocsPerRun(1000, func() { l.Ask(client, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLimit(b *testing.B) {
	l := limiter(b, Rate{PerSecond: 1000})
	now := l.start
	for i := 0; b.Loop(); i++ {
		l.Ask(clientNo(i&0xfff), now.Add(time.Duration(i)*time.Microsecond))
	}
}
