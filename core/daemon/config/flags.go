package config

import (
	"reflect"

	"github.com/spf13/pflag"
)

// Flags makes a flag for every setting of a config: --cache.size 64MiB. Lists
// are separated by commas. A key whose flag is taken already keeps that flag.
func Flags(set *pflag.FlagSet, config any) {
	for _, s := range settingsOf(reflect.TypeOf(config).Elem(), "") {
		if set.Lookup(s.key) != nil {
			continue
		}
		flag := set.VarPF(&flagValue{setting: s}, s.key, "", "set "+s.key+" ("+s.variable()+")")
		if s.typ.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
		}
	}
}

// flagValue keeps the text of a flag that was found to be right.
type flagValue struct {
	setting setting
	text    string
}

func (f *flagValue) String() string { return f.text }

// Type names the value in the help. It must be none that viper converts itself.
func (f *flagValue) Type() string {
	if f.setting.typ.Kind() == reflect.Slice {
		return "list"
	}
	return "value"
}

func (f *flagValue) Set(text string) error {
	if _, err := f.setting.parse(text); err != nil {
		return err
	}
	f.text = text
	return nil
}
