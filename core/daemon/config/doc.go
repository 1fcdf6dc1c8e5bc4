// Package config reads a daemon's configuration: a YAML file, STRATA_…
// environment variables over it, flags over those. What cannot be right is
// said with file, line, key and what would be right, all of it at once.
//
// The shape of the file is a Go struct with mapstructure tags, whose fields may
// be text, numbers, booleans, [time.Duration], [Size], anything with
// UnmarshalText ([net/netip] addresses and prefixes, enumerations), lists of
// these, structs, and lists of structs. Keys are written in lower case. A struct
// that also has UnmarshalText may be written either way.
//
// YAML's anchors, aliases and merge keys are not read.
package config
