package failover

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Mode is which sites serve, and why.
type Mode uint8

// The modes of a fleet.
const (
	Home    Mode = iota // home serves alone
	Swung               // home went down and another site answers: all that answer serve
	AllDown             // nobody answers
	Pinned              // one site serves, by hand
)

var modeNames = []string{"home", "swung", "all-down", "pinned"}

func (m Mode) String() string { return modeNames[m] }

// MarshalText writes the mode's name, for JSON.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a mode's name.
func (m *Mode) UnmarshalText(text []byte) error {
	i := slices.Index(modeNames, string(text))
	if i < 0 {
		return fmt.Errorf("read mode: %q is none of %s", text, strings.Join(modeNames, ", "))
	}
	*m = Mode(i)
	return nil
}

// A health is all the swing needs to know of the servers.
type health struct {
	homeUp  bool // a home server is up
	homeFit bool // or suspect
	awayFit bool // a server elsewhere is up or suspect
}

// A swing is the fleet's way between home, swung and all-down, with no regard
// to pins.
type swing struct {
	mode      Mode
	hold      time.Duration // the hold-down of the latest swing
	holdUntil time.Time
	returned  time.Time // when home last came to serve alone, since that swing
	count     uint64
}

// next is the mode that follows from the health at a time.
func (w *swing) next(h health, now time.Time) Mode {
	held := now.Before(w.holdUntil)
	switch {
	case !h.homeFit && !h.awayFit:
		return AllDown
	case w.mode == Home && h.homeFit:
		return Home
	case w.mode == Swung && h.homeUp && !held:
		return Home
	case w.mode == AllDown && h.homeFit && !held:
		return Home
	}
	return Swung
}

// move enters a mode. To swing back out of all-down while the hold-down still
// runs goes on with the same swing.
func (w *swing) move(to Mode, now time.Time, p Pace) {
	switch {
	case to == Swung && !now.Before(w.holdUntil):
		w.hold = w.damped(now, p)
		w.holdUntil = now.Add(w.hold)
		w.returned = time.Time{}
		w.count++
	case to == Home:
		w.returned = now
	}
	w.mode = to
}

// damped is the hold-down of a swing that begins now: twice the last one if
// home had been back for less than the calm time, else half for each calm time
// it had been.
func (w *swing) damped(now time.Time, p Pace) time.Duration {
	switch quiet := now.Sub(w.returned); {
	case w.hold == 0 || p.Calm == 0:
		return p.HoldDown
	case w.returned.IsZero(): // never came home in between
		return within(w.hold, p)
	case quiet < p.Calm:
		return within(2*w.hold, p)
	default:
		return within(w.hold>>min(quiet/p.Calm, 62), p)
	}
}

// within keeps a hold-down in its bounds, which a new configuration may have
// changed.
func within(hold time.Duration, p Pace) time.Duration {
	return min(max(hold, p.HoldDown), p.MaxHoldDown)
}

// why explains a move the health asked for.
func (w *swing) why(to Mode, h health, home string) string {
	switch {
	case to == AllDown:
		return "no server answers anywhere"
	case to == Swung && !h.awayFit:
		return fmt.Sprintf("%s answers again, within the hold-down of %v", home, w.hold)
	case to == Swung && h.homeFit:
		return fmt.Sprintf("servers answer again, within the hold-down of %v", w.hold)
	case to == Swung:
		return fmt.Sprintf("no server of %s answers, others do", home)
	case w.mode == Swung:
		return fmt.Sprintf("%s answers again and the hold-down of %v is over", home, w.hold)
	}
	return fmt.Sprintf("%s answers again", home)
}
