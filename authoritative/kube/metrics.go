package kube

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	objectsDesc  = prometheus.NewDesc("strata_monitor_objects", "Objects of the cluster that records come from.", []string{"kind"}, nil)
	rrsetsDesc   = prometheus.NewDesc("strata_monitor_rrsets", "RRsets that follow from the objects.", nil, nil)
	pendingDesc  = prometheus.NewDesc("strata_monitor_pending", "RRsets that are to be written to etcd.", nil, nil)
	problemsDesc = prometheus.NewDesc("strata_monitor_problems", "Objects that are not, or not wholly, in DNS; /status names them.", nil, nil)
	writesDesc   = prometheus.NewDesc("strata_monitor_writes_total", "RRsets written to etcd, and deleted from it.", []string{"what"}, nil)
	failuresDesc = prometheus.NewDesc("strata_monitor_failures_total", "Writes and compares that failed.", nil, nil)
	behindDesc   = prometheus.NewDesc("strata_monitor_behind_total", "Writes left undone because another monitor knew more.", nil, nil)
	withheldDesc = prometheus.NewDesc("strata_monitor_withheld", "Left-over RRsets that brake.max_delete keeps.", nil, nil)
	comparedDesc = prometheus.NewDesc("strata_monitor_compare_timestamp_seconds", "When all records were last compared with etcd's, in seconds since 1970.", nil, nil)
)

// Describe implements prometheus.Collector.
func (w *Writer) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{objectsDesc, rrsetsDesc, pendingDesc, problemsDesc, writesDesc, failuresDesc, behindDesc, withheldDesc, comparedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (w *Writer) Collect(ch chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, typ prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, typ, v, labels...)
	}
	n := w.state.Counts()
	for kind, count := range n.Objects {
		put(objectsDesc, prometheus.GaugeValue, float64(count), Kind(kind).String())
	}
	put(rrsetsDesc, prometheus.GaugeValue, float64(n.RRsets))
	put(pendingDesc, prometheus.GaugeValue, float64(n.Pending))
	put(problemsDesc, prometheus.GaugeValue, float64(n.Problems))
	put(withheldDesc, prometheus.GaugeValue, float64(w.withheld.Load()))
	put(writesDesc, prometheus.CounterValue, float64(w.written.Load()), "put")
	put(writesDesc, prometheus.CounterValue, float64(w.deleted.Load()), "delete")
	put(failuresDesc, prometheus.CounterValue, float64(w.failures.Load()))
	put(behindDesc, prometheus.CounterValue, float64(w.behind.Load()))
	if at := w.compared.Load(); at != 0 {
		put(comparedDesc, prometheus.GaugeValue, float64(time.Unix(0, at).UnixMilli())/1000)
	}
}

// A Status is the section of /status about a Writer.
type Status struct {
	Owner    string         `json:"owner"`
	Objects  map[string]int `json:"objects"`
	RRsets   int            `json:"rrsets"`
	Pending  int            `json:"pending"`
	Withheld int64          `json:"withheld"`
	Compared time.Time      `json:"compared,omitzero"`
	Trouble  string         `json:"trouble,omitempty"`
	Problems []string       `json:"problems,omitempty"`
}

// Status gives it.
func (w *Writer) Status() Status {
	n := w.state.Counts()
	s := Status{Owner: w.owner, Objects: map[string]int{}, RRsets: n.RRsets, Pending: n.Pending, Withheld: w.withheld.Load(), Problems: w.state.Problems()}
	for kind, count := range n.Objects {
		s.Objects[Kind(kind).String()] = count
	}
	if at := w.compared.Load(); at != 0 {
		s.Compared = time.Unix(0, at)
	}
	if trouble := w.trouble.Load(); trouble != nil {
		s.Trouble = *trouble
	}
	return s
}
