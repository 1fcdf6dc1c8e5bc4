package daemon

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newRegistry makes the registry with what every daemon shows.
func (d *Daemon) newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("strata_build_info", "What this binary was made of; always 1.", prometheus.Labels{
			"daemon": d.name, "version": d.build.Version, "commit": d.build.Commit, "goversion": d.build.Go,
		}, func() float64 { return 1 }),
		gauge("strata_ready", "1 while the daemon serves: all tasks ready, not draining.", nil,
			func() float64 { return indicator(d.Ready()) }),
		gauge("strata_config_reload_failed", "1 while the config on disk was refused and an older one runs.", nil,
			func() float64 { return indicator(d.LastReload().Failed) }),
		gauge("strata_config_reload_success_timestamp_seconds", "When the running config was taken up, in Unix time.", nil,
			func() float64 { return float64(d.LastReload().Success.UnixMilli()) / 1000 }),
		taskMetrics{d},
	)
	return registry
}

func gauge(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value)
}

func indicator(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// taskReady is the readiness of one task.
var taskReady = prometheus.NewDesc("strata_task_ready", "1 while the task does its part.", []string{"task"}, nil)

// taskMetrics collects the readiness of every task when asked.
type taskMetrics struct{ daemon *Daemon }

func (t taskMetrics) Describe(out chan<- *prometheus.Desc) { out <- taskReady }

func (t taskMetrics) Collect(out chan<- prometheus.Metric) {
	seen := make(map[string]bool) // two samples of one name would fail the whole scrape
	for _, task := range t.daemon.taskStates() {
		if !seen[task.Name] {
			seen[task.Name] = true
			out <- prometheus.MustNewConstMetric(taskReady, prometheus.GaugeValue, indicator(task.Ready), task.Name)
		}
	}
}
