package store

import (
	"iter"
	"runtime"
	"testing"
)

// countSink takes records and keeps none.
type countSink struct{ n int }

func (s *countSink) Replace(records iter.Seq2[Record, error], _ int64) error {
	s.n = 0
	for rec, err := range records {
		if err != nil {
			return err
		}
		runtime.KeepAlive(rec)
		s.n++
	}
	return nil
}

func (s *countSink) Apply([]Change, int64) error { return nil }

// BenchmarkSync writes 100 k records by the import, imports them again to find
// all right, and reads them as a server does at start.
func BenchmarkSync(b *testing.B) {
	const n = 100_000
	m := member(b)
	c := client(b, m.Endpoints()...)
	recs := many(b, n, "example.org", "static")
	replace := Import{Owner: "static", Under: org, Replace: true}
	b.Run("import", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Import(b.Context(), replace, seq(recs)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("sync", func(b *testing.B) {
		b.ReportAllocs()
		w := NewWatcher(c, &countSink{}, WatchOptions{})
		for b.Loop() {
			if err := w.compare(b.Context()); err != nil || w.sink.(*countSink).n != n {
				b.Fatal(w.sink.(*countSink).n, err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
}
