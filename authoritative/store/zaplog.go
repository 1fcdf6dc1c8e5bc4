package store

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapToSlog gives etcd a logger that ends in ours. What etcd finds worth telling
// about itself is of use only when looking into etcd: its Info is our Debug.
//
// While hush is set, all is Debug: starting, etcd advises against choices that are
// ours, and stopping, it finds its closed listeners to be errors.
func zapToSlog(log *slog.Logger, component string, hush *atomic.Bool) *zap.Logger {
	return zap.New(&slogCore{log: log.With("component", component), hush: hush})
}

type slogCore struct {
	log  *slog.Logger
	hush *atomic.Bool // nil: never
}

func (c *slogCore) level(l zapcore.Level) slog.Level {
	switch {
	case c.hush != nil && c.hush.Load() && l < zapcore.DPanicLevel:
		return slog.LevelDebug
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (c *slogCore) Enabled(l zapcore.Level) bool {
	return l >= zapcore.InfoLevel && c.log.Enabled(context.Background(), c.level(l))
}

func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{log: slog.New(c.log.Handler().WithAttrs(attrs(fields))), hush: c.hush}
}

func (c *slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.LogAttrs(context.Background(), c.level(e.Level), e.Message, attrs(fields)...)
	return nil
}

func (c *slogCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		if v, ok := enc.Fields[f.Key]; ok {
			out = append(out, slog.Any(f.Key, v))
		}
	}
	return out
}
