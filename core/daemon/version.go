package daemon

import (
	"runtime"
	"runtime/debug"
)

// Version and Commit are set by the linker:
//
//	-X github.com/strata-dns/strata/core/daemon.Version=1.2.3
//	-X github.com/strata-dns/strata/core/daemon.Commit=abcdef0
var (
	Version = "dev"
	Commit  = ""
)

// A Build says what a binary was made of.
type Build struct {
	Version string   `json:"version"`
	Commit  string   `json:"commit,omitempty"`
	Go      string   `json:"go"`
	Planes  []string `json:"planes,omitempty"`
}

// ThisBuild describes the running binary. Without a linked commit, that of the
// build's own version control stamp is taken.
func ThisBuild() Build {
	build := Build{Version: Version, Commit: Commit, Go: runtime.Version()}
	if build.Commit != "" {
		return build
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			build.Commit = setting.Value
		}
	}
	return build
}
