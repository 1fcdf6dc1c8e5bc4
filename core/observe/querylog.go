package observe

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/strata-dns/strata/core/wire"
)

// logEvery is how long a line may wait to be written.
const logEvery = 50 * time.Millisecond

// A queryLog writes a line for each event.
type queryLog struct {
	o *Options

	mu      sync.Mutex
	file    *os.File // nil: the lines go where all else is logged
	buffer  *bufio.Writer
	handler slog.Handler
	broken  bool // the last write failed, which was said
}

// open opens the file of a config; it may be the one that is open, which was
// renamed.
func (l *queryLog) open(c QueryLog) error {
	var file *os.File
	if c.Sample > 0 && c.File != "" {
		var err error
		if file, err = os.OpenFile(c.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640); err != nil {
			return fmt.Errorf("query_log.file: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut()
	l.file, l.broken, l.handler = file, false, l.o.Log.Handler()
	if file != nil {
		l.buffer = bufio.NewWriterSize(file, 64<<10)
		if l.handler = slog.NewTextHandler(l.buffer, nil); l.o.JSON {
			l.handler = slog.NewJSONHandler(l.buffer, nil)
		}
	}
	return nil
}

// shut closes the file, where there is one. It is for who holds the lock.
func (l *queryLog) shut() {
	if l.file == nil {
		return
	}
	l.flush()
	l.file.Close()
	l.file, l.buffer = nil, nil
}

// flush writes what is buffered. A failure is said once.
func (l *queryLog) flush() bool {
	if l.buffer == nil {
		return true
	}
	err := l.buffer.Flush()
	if err == nil {
		l.broken = false
		return true
	}
	if !l.broken {
		l.o.Log.Error("query log not written", "file", l.file.Name(), "err", err)
	}
	l.broken = true
	l.buffer.Reset(l.file)
	return false
}

func (b *Observer) runLog(ctx context.Context) {
	p := &b.pipes[logKind]
	for on := true; on; {
		most := logEvery
		if !b.wants(logKind) {
			most = 0
		}
		on = p.wait(ctx, most)
		b.drainLog()
	}
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	b.log.shut()
}

// drainLog writes what has been seen.
func (b *Observer) drainLog() {
	p, l := &b.pipes[logKind], &b.log
	l.mu.Lock()
	defer l.mu.Unlock()
	var n uint64
	p.drain(func(e *Event) bool {
		_ = l.handler.Handle(context.Background(), lineOf(e, b.source(e.Source))) // a buffer's error is seen at its flush
		n++
		return true
	})
	if l.flush() {
		p.written.Add(n)
	} else {
		p.failed.Add(n)
	}
}

// lineOf is the line of an event.
func lineOf(e *Event, from Source) slog.Record {
	r := slog.NewRecord(time.Unix(0, e.Time), slog.LevelInfo, "query", 0)
	proto := "udp"
	if e.Stream {
		proto = "tcp"
	}
	r.AddAttrs(slog.String("client", e.Client.String()), slog.String("proto", proto))
	if len(e.Name) > 0 {
		r.AddAttrs(slog.String("name", wire.NameString(e.Name)), slog.String("type", dns.Type(e.Type).String()), slog.String("flags", flagText(e)))
	}
	r.AddAttrs(slog.String("from", from.Name))
	if e.Size > 0 {
		r.AddAttrs(slog.String("rcode", rcodeText(e.Rcode)), slog.Int("size", int(e.Size)))
	}
	if e.Late {
		r.AddAttrs(slog.Duration("took", time.Duration(e.Took).Round(time.Microsecond)))
	}
	return r
}

// flagText names the flags of a query that change its answer.
func flagText(e *Event) string {
	var set []string
	for _, f := range [...]struct {
		on   bool
		name string
	}{{e.Flags&wire.FlagRD != 0, "rd"}, {e.DO, "do"}, {e.Flags&wire.FlagCD != 0, "cd"}, {e.Flags&wire.FlagAD != 0, "ad"}} {
		if f.on {
			set = append(set, f.name)
		}
	}
	return strings.Join(set, ",")
}

func rcodeText(rcode uint8) string {
	if name, ok := dns.RcodeToString[int(rcode)]; ok {
		return name
	}
	return strconv.Itoa(int(rcode))
}
