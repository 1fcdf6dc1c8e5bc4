package config

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

// Restart names the keys whose values differ between the config that a process was
// started with and a fresh one, but are only read at the start: all but those at and
// below the ones that are live.
func Restart[C any](started, fresh *C, live ...string) (keys []string) {
	return differing(nil, reflect.ValueOf(started).Elem(), reflect.ValueOf(fresh).Elem(), "", live)
}

func differing(keys []string, old, fresh reflect.Value, at string, live []string) []string {
	if slices.Contains(live, at) {
		return keys
	}
	if old.Kind() != reflect.Struct || old.Type().NumField() == 0 || !old.Type().Field(0).IsExported() {
		if !reflect.DeepEqual(old.Interface(), fresh.Interface()) {
			keys = append(keys, at)
		}
		return keys
	}
	for i := range old.NumField() {
		tag := old.Type().Field(i).Tag.Get("mapstructure")
		name, squash, _ := strings.Cut(tag, ",")
		key := strings.Trim(at+"."+name, ".")
		if squash == "squash" {
			key = at
		}
		keys = differing(keys, old.Field(i), fresh.Field(i), key, live)
	}
	return keys
}

// Reloaded says what a reload could not take up, at each reload until a restart does.
func Reloaded[C any](log *slog.Logger, started, fresh *C, live ...string) {
	if keys := Restart(started, fresh, live...); len(keys) > 0 {
		log.Warn("some keys have changed that are only read at the start: restart to take them up", "keys", keys)
	}
}
