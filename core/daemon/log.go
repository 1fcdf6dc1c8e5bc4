package daemon

import (
	"io"
	"log/slog"
)

// NewLog makes a logger that writes to w as text or, with json, as JSON. The
// level may be changed later, through level.
func NewLog(w io.Writer, level *slog.LevelVar, json bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
