package store

import (
	"os"
	"runtime"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// A fatalHook decides what becomes of the process when etcd logs that it cannot
// go on: at start the starting goroutine ends, later the process does.
type fatalHook struct {
	starting atomic.Bool
	said     atomic.Pointer[string]
}

func (h *fatalHook) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	said := e.Message
	for _, a := range attrs(fields) {
		if a.Key == "error" {
			said += ": " + a.Value.String()
		}
	}
	h.said.Store(&said)
	if h.starting.Load() {
		runtime.Goexit()
	}
	os.Exit(1)
}
