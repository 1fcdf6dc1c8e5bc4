package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A Figure is one of the house's own metrics, with its labels as Prometheus
// writes them. Of a histogram or summary it is the mean, beside its count.
type Figure struct {
	Name   string  `json:"name"`
	Labels string  `json:"labels,omitempty"`
	Help   string  `json:"help,omitempty"`
	Value  float64 `json:"value"`
	Count  uint64  `json:"count,omitempty"` // of observations
}

// Text is the value as people read it.
func (f Figure) Text() string {
	value := strconv.FormatFloat(f.Value, 'g', 6, 64)
	switch size := math.Abs(f.Value); {
	case f.Value == math.Trunc(f.Value) && size < 1<<53:
		value = strconv.FormatFloat(f.Value, 'f', 0, 64)
	case size >= 1e6: // a time
		value = strconv.FormatFloat(f.Value, 'f', 3, 64)
	}
	if f.Count > 0 {
		return fmt.Sprintf("%s (mean of %d)", value, f.Count)
	}
	return value
}

// Figures reads all metrics named strata_…, by name. With an error come those
// that could be read.
func Figures(registry prometheus.Gatherer) ([]Figure, error) {
	families, err := registry.Gather()
	if err != nil {
		err = fmt.Errorf("gather metrics: %w", err)
	}
	var figures []Figure
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "strata_") {
			continue
		}
		for _, metric := range family.GetMetric() {
			figure := Figure{Name: family.GetName(), Help: family.GetHelp(), Labels: labels(metric)}
			figure.Value, figure.Count = reading(metric)
			figures = append(figures, figure)
		}
	}
	return figures, err
}

func labels(metric *dto.Metric) string {
	if len(metric.GetLabel()) == 0 {
		return ""
	}
	pairs := make([]string, len(metric.GetLabel()))
	for i, pair := range metric.GetLabel() {
		pairs[i] = pair.GetName() + "=" + strconv.Quote(pair.GetValue())
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func reading(metric *dto.Metric) (value float64, count uint64) {
	switch {
	case metric.Counter != nil:
		return metric.GetCounter().GetValue(), 0
	case metric.Gauge != nil:
		return finite(metric.GetGauge().GetValue()), 0
	case metric.Histogram != nil:
		return mean(metric.GetHistogram().GetSampleSum(), metric.GetHistogram().GetSampleCount())
	case metric.Summary != nil:
		return mean(metric.GetSummary().GetSampleSum(), metric.GetSummary().GetSampleCount())
	}
	return finite(metric.GetUntyped().GetValue()), 0
}

func mean(sum float64, count uint64) (float64, uint64) {
	if count == 0 {
		return 0, 0
	}
	return finite(sum / float64(count)), count
}

// finite keeps JSON, which has no NaN and no infinity, from failing.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
