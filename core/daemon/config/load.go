package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Load reads a config into the struct that into points to, which holds the
// defaults: the file ("" for none), over it STRATA_… variables (STRATA_CACHE_SIZE
// for cache.size), over those the given flags that were set (see [Flags]; nil
// for none). Then a struct that is a [Validator] is asked, and, if it found
// nothing, the given checks.
//
// The error is Problems, or that of reading the file; into is then not to be used.
func Load(file string, into any, flags *pflag.FlagSet, checks ...func(*Report)) error {
	shape := reflect.TypeOf(into).Elem()
	t := &tree{file: file, lines: make(map[string]int)}
	values, err := t.read(shape)
	if err != nil {
		return err
	}
	v := viper.New()
	v.AllowEmptyEnv(true)
	if err := v.MergeConfigMap(values); err != nil {
		return fmt.Errorf("read config %s: %w", file, err)
	}
	sources, err := t.override(v, settingsOf(shape, ""), flags)
	if err != nil {
		return err
	}
	if len(t.problems) == 0 {
		if err := v.Unmarshal(into, decoding); err != nil {
			return fmt.Errorf("read config %s: %w", file, err)
		}
		if validator, ok := into.(Validator); ok {
			checks = append([]func(*Report){validator.Validate}, checks...)
		}
		t.validate(checks, sources)
	}
	if len(t.problems) > 0 {
		t.problems.sort()
		return t.problems
	}
	return nil
}

// read reads the file as a section of the given shape.
func (t *tree) read(shape reflect.Type) (map[string]any, error) {
	if t.file == "" {
		return nil, nil
	}
	root, err := parse(t.file)
	var problem Problem
	if errors.As(err, &problem) {
		return nil, Problems{problem}
	}
	if err != nil || root == nil {
		return nil, err
	}
	value, _ := t.value(root, shape, "")
	section, _ := value.(map[string]any)
	return section, nil
}

// override lays variables and flags over the file. The map says where a setting
// comes from that is not from the file.
func (t *tree) override(v *viper.Viper, settings []setting, flags *pflag.FlagSet) (map[string]string, error) {
	sources := make(map[string]string)
	for _, s := range settings {
		if err := v.BindEnv(s.key, s.variable()); err != nil {
			return nil, fmt.Errorf("read config: %w", err)
		}
		if text, ok := os.LookupEnv(s.variable()); ok {
			sources[s.key] = "environment " + s.variable()
			if _, err := s.parse(text); err != nil {
				t.problems = append(t.problems, Problem{sources[s.key], 0, s.key, err.Error()})
			}
		}
		if flags == nil {
			continue
		}
		flag := flags.Lookup(s.key)
		if flag == nil || !flag.Changed {
			continue
		}
		if _, ours := flag.Value.(*flagValue); ours { // so its value was checked when it was set
			if err := v.BindPFlag(s.key, flag); err != nil {
				return nil, fmt.Errorf("read config: %w", err)
			}
			sources[s.key] = "flag --" + s.key
		}
	}
	return sources, nil
}

// validate asks one check after another until one finds something, and finds
// where in the file that is.
func (t *tree) validate(checks []func(*Report), sources map[string]string) {
	var report Report
	for i := 0; i < len(checks) && len(report.found) == 0; i++ {
		checks[i](&report)
	}
	for _, found := range report.found {
		problem := Problem{t.file, t.line(found.key), found.key, found.text}
		setting, _, _ := strings.Cut(found.key, "[") // a list comes from one place with all its items
		if source, ok := sources[setting]; ok {
			problem.File, problem.Line = source, 0
		}
		if problem.File == "" {
			problem.File = "config"
		}
		t.problems = append(t.problems, problem)
	}
}

// decoding makes fields from the text of variables and flags; what comes from
// the file has its type already. Lists replace their defaults instead of being
// laid over them item by item.
func decoding(c *mapstructure.DecoderConfig) {
	c.ZeroFields = true
	c.WeaklyTypedInput = false
	c.DecodeHook = mapstructure.DecodeHookFuncType(func(from, to reflect.Type, data any) (any, error) {
		text, ok := data.(string)
		to = deref(to)
		switch {
		case !ok || from == to:
			return data, nil
		case isLeaf(to), to.Kind() == reflect.Slice:
			return setting{typ: to}.parse(text)
		}
		return data, nil
	})
}
