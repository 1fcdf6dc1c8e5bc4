package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/core/zone"
)

// kindName names what counts.by holds at k.
func kindName(k int) string {
	if k < invalid {
		return zone.Outcome(k).String()
	}
	return [...]string{"valid", "silence", "formerr", "notimp", "class", "badvers"}[k-invalid]
}

var (
	answersDesc  = prometheus.NewDesc("strata_answers_total", "Queries by how they were answered.", []string{"transport", "worker", "outcome"}, nil)
	zonesDesc    = prometheus.NewDesc("strata_zones", "Zones in memory.", nil, nil)
	serialDesc   = prometheus.NewDesc("strata_zone_serial", "The SOA serial of a zone.", []string{"zone"}, nil)
	namesDesc    = prometheus.NewDesc("strata_zone_names", "Names in memory, empty non-terminals among them.", nil, nil)
	recordsDesc  = prometheus.NewDesc("strata_zone_records", "Resource records in memory, each owner's counted.", nil, nil)
	bytesDesc    = prometheus.NewDesc("strata_zone_bytes", "Octets of zone data in memory.", nil, nil)
	waitingDesc  = prometheus.NewDesc("strata_zone_blocks_waiting", "Replaced blocks that readers may still see.", nil, nil)
	upDesc       = prometheus.NewDesc("strata_etcd_connected", "1 while etcd answers with a quorum.", nil, nil)
	revisionDesc = prometheus.NewDesc("strata_etcd_revision", "The etcd revision that is answered from.", nil, nil)
	ageDesc      = prometheus.NewDesc("strata_etcd_contact_age_seconds", "Time since etcd last answered.", nil, nil)
	oldDesc      = prometheus.NewDesc("strata_etcd_records_age_seconds", "How old the records from etcd may be: 0 while they follow it, else since etcd last answered or was found to have lost its data or, after a start without it, since the snapshot was written.", nil, nil)
	clashesDesc  = prometheus.NewDesc("strata_records_clashes_total", "Times an owner put a CNAME beside another owner's records, or records beside its CNAME.", nil, nil)
	skippedDesc  = prometheus.NewDesc("strata_etcd_values_skipped_total", "Values met in etcd that are not records of ours.", nil, nil)
	outsideDesc  = prometheus.NewDesc("strata_records_outside_total", "Records met in etcd for zones not served from etcd here.", nil, nil)
	savedDesc    = prometheus.NewDesc("strata_snapshot_timestamp_seconds", "When the snapshot was last written, in seconds since 1970.", nil, nil)
	unsavedDesc  = prometheus.NewDesc("strata_snapshot_failures_total", "Times the snapshot could not be written.", nil, nil)
	refusedDesc  = prometheus.NewDesc("strata_records_refused_total", "Records the zone table would not take.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *server) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		answersDesc, zonesDesc, serialDesc, namesDesc, recordsDesc, bytesDesc, waitingDesc,
		upDesc, revisionDesc, ageDesc, oldDesc, skippedDesc, outsideDesc, clashesDesc, savedDesc, unsavedDesc, refusedDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector: the numbers are kept where they arise
// and read when asked for.
func (s *server) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s.eachCount(func(transport string, worker, kind int, n uint64) {
		counter(answersDesc, n, transport, strconv.Itoa(worker), kindName(kind))
	})
	st := s.table.Stats()
	gauge(zonesDesc, float64(st.Zones))
	gauge(namesDesc, float64(st.Names))
	gauge(recordsDesc, float64(st.Records))
	gauge(bytesDesc, float64(st.Bytes))
	gauge(waitingDesc, float64(st.Waiting))
	for _, z := range s.table.Zones() {
		gauge(serialDesc, float64(z.SOASerial()), wire.NameString(z.Apex))
	}
	if s.watcher == nil {
		return
	}
	up := 0.0
	if s.watcher.Connected() {
		up = 1
	}
	gauge(upDesc, up)
	gauge(revisionDesc, float64(s.sink.revision.Load()))
	if last := s.watcher.LastContact(); !last.IsZero() {
		gauge(ageDesc, time.Since(last).Seconds())
	}
	if old := s.age(); old >= 0 {
		gauge(oldDesc, old.Seconds())
	}
	counter(clashesDesc, s.sink.clashes.Load())
	counter(skippedDesc, s.client.Skipped())
	counter(outsideDesc, s.sink.outside.Load())
	counter(refusedDesc, s.sink.refused.Load())
	if s.saver == nil {
		return
	}
	counter(unsavedDesc, s.saver.failed.Load())
	if at := s.saver.savedAt(); !at.IsZero() {
		gauge(savedDesc, float64(at.UnixMilli())/1000)
	}
}
