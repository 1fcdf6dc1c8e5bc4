package config

import (
	"encoding"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A leaf is a value that is written as one scalar.
var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

// expected says what would be right, for the types whose own errors do not.
var expected = map[reflect.Type]string{
	durationType:                      "a duration with its unit, such as 24h or 1.8s",
	reflect.TypeFor[Size]():           "a size, such as 64MiB, 512MB or 65536 (octets)",
	reflect.TypeFor[netip.Addr]():     "an IP address, such as 10.0.0.1 or 2001:db8::1",
	reflect.TypeFor[netip.AddrPort](): "an address with port, such as 10.0.0.1:53 or [2001:db8::1]:53",
	reflect.TypeFor[netip.Prefix]():   "a network, such as 10.0.0.0/8 or 2001:db8::/32",
	reflect.TypeFor[slog.Level]():     "a log level: debug, info, warn or error",
}

// expect describes a type to the writer of a config.
func expect(t reflect.Type) string {
	if text, ok := expected[t]; ok {
		return text
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		if len(fieldsOf(t)) > 0 {
			return "keys: " + strings.Join(keysOf(t), ", ")
		}
	}
	switch k := t.Kind(); {
	case k == reflect.Int || k == reflect.Int64:
		return "a whole number"
	case k >= reflect.Int && k <= reflect.Int64:
		return fmt.Sprintf("a whole number from %d to %d", -1<<(t.Bits()-1), 1<<(t.Bits()-1)-1)
	case isInteger(k):
		return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
	}
	return "text"
}

func isInteger(k reflect.Kind) bool {
	return k >= reflect.Int && k <= reflect.Uint64
}

// readsText tells whether values of type t are made by UnmarshalText.
func readsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isLeaf tells whether values of type t are written as scalars.
func isLeaf(t reflect.Type) bool {
	k := t.Kind()
	return readsText(t) || k == reflect.String || k == reflect.Bool || isInteger(k) ||
		k == reflect.Float32 || k == reflect.Float64
}

// parseLeaf makes a value of type t from what is written in a config.
func parseLeaf(t reflect.Type, text string) (any, error) {
	v := reflect.New(t)
	if err := setLeaf(v, text); err != nil {
		if what, ok := expected[t]; ok || !readsText(t) {
			if !ok {
				what = expect(t)
			}
			return nil, fmt.Errorf("found %q, expected %s", text, what)
		}
		return nil, err
	}
	return v.Elem().Interface(), nil
}

// setLeaf sets what the pointer v points to.
func setLeaf(v reflect.Value, text string) error {
	if reader, ok := v.Interface().(encoding.TextUnmarshaler); ok {
		return reader.UnmarshalText([]byte(text))
	}
	v = v.Elem()
	t := v.Type()
	switch k := t.Kind(); {
	case t == durationType:
		d, err := time.ParseDuration(text)
		v.SetInt(int64(d))
		return err
	case k == reflect.String:
		v.SetString(text)
	case k == reflect.Bool:
		if text != "true" && text != "false" { // the two that YAML 1.2 has
			return strconv.ErrSyntax
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, t.Bits())
		v.SetInt(n)
		return err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, t.Bits())
		v.SetUint(n)
		return err
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, t.Bits())
		v.SetFloat(f)
		return err
	}
	return nil
}

// Choose returns text if it is one of the choices, else an error that lists
// them: for the UnmarshalText of enumerations.
func Choose(text []byte, choices ...string) (string, error) {
	for _, choice := range choices {
		if string(text) == choice {
			return choice, nil
		}
	}
	return "", fmt.Errorf("found %q, expected one of: %s", text, strings.Join(choices, ", "))
}
