package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrValue is a value in etcd that is none of ours.
var ErrValue = errors.New("not the value of a record")

// A value is what stands behind a key. Fields it doesn't know are let pass: a
// later version may write more.
type value struct {
	TTL   *int64    `json:"ttl"`
	Data  []string  `json:"data"`
	Probe probeText `json:"probe"`
}

// MaxProbe is the greatest length of what says how a record is probed, in octets.
const MaxProbe = 255

// A probeText is not a reason to leave a record out, whatever it is: what is no
// string comes as its JSON, for the prober to say that it can make nothing of it.
type probeText string

// UnmarshalJSON implements json.Unmarshaler.
func (p *probeText) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	if len(text) > MaxProbe {
		text = strings.ToValidUTF8(text[:MaxProbe], "")
	}
	*p = probeText(text)
	return nil
}

// appendValue writes the record's value.
func appendValue(b []byte, rec Record) ([]byte, error) {
	text, err := rec.Text()
	if err != nil {
		return b, err
	}
	b = append(b, `{"ttl":`...)
	b = strconv.AppendUint(b, uint64(rec.TTL), 10)
	b = append(b, `,"data":[`...)
	for i, s := range text {
		if i > 0 {
			b = append(b, ',')
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			return b, fmt.Errorf("write value of %s: %w", rec, err)
		}
		b = append(b, quoted...)
	}
	b = append(b, ']')
	if rec.Probe != "" {
		quoted, err := json.Marshal(rec.Probe)
		if err != nil {
			return b, fmt.Errorf("write value of %s: %w", rec, err)
		}
		b = append(append(b, `,"probe":`...), quoted...)
	}
	return append(b, '}'), nil
}

// parseValue reads a value into v, whose Data is reused.
func parseValue(raw []byte, v *value) error {
	if v.TTL == nil {
		v.TTL = new(int64)
	}
	v.Data, v.Probe = v.Data[:0], ""
	if parseOwn(raw, v) {
		return checkValue(v)
	}
	*v = value{Data: v.Data[:0]}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	return checkValue(v)
}

func checkValue(v *value) error {
	switch {
	case v.TTL == nil:
		return fmt.Errorf("%w: no ttl", ErrValue)
	case *v.TTL < 0 || *v.TTL > MaxTTL:
		return fmt.Errorf("%w: ttl %d is not in 0..%d (RFC 2181 §8)", ErrValue, *v.TTL, MaxTTL)
	case len(v.Data) == 0:
		return fmt.Errorf("%w: no data", ErrValue)
	}
	return nil
}

// parseOwn reads the very form appendValue writes, strings without escapes and no
// probe, and says no to all else: a third of the time encoding/json takes, which counts
// where millions are read at start.
func parseOwn(raw []byte, v *value) bool {
	rest, ok := bytes.CutPrefix(raw, []byte(`{"ttl":`))
	if !ok {
		return false
	}
	n := 0
	for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
		n++
	}
	if n == 0 || n > 10 || n > 1 && rest[0] == '0' {
		return false
	}
	*v.TTL = 0
	for _, c := range rest[:n] {
		*v.TTL = *v.TTL*10 + int64(c-'0')
	}
	if rest, ok = bytes.CutPrefix(rest[n:], []byte(`,"data":[`)); !ok {
		return false
	}
	for {
		if len(rest) == 0 || rest[0] != '"' {
			return false
		}
		end := 1
		for end < len(rest) && rest[end] != '"' {
			if c := rest[end]; c == '\\' || c < ' ' || c > '~' {
				return false
			}
			end++
		}
		if end+1 >= len(rest) {
			return false
		}
		v.Data = append(v.Data, string(rest[1:end]))
		switch rest = rest[end+1:]; {
		case rest[0] == ',':
			rest = rest[1:]
		default:
			return string(rest) == "]}"
		}
	}
}
