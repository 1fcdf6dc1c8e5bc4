package main

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// A Chart is lines over two axes.
type Chart struct {
	Title, X, Y string // what is drawn, and what the axes are in
	LogX, LogY  bool
	Lines       []Line
}

// A Line is points in the order of their x.
type Line struct {
	Name   string
	Points [][2]float64
}

// Of the picture, in its own units.
const (
	chartWidth, chartHeight  = 720.0, 400.0
	chartLeft, chartRight    = 76.0, 20.0
	chartTop, chartBottom    = 64.0, 52.0
	chartTicks               = 6
	lightBackground, inkTone = "#ffffff", "#333333"
)

// lineTones are told apart by most eyes (Okabe and Ito).
var lineTones = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// svg draws the chart.
func (c Chart) svg(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12" fill="%s">`+"\n", chartWidth, chartHeight, inkTone)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="%s"/>`+"\n", lightBackground)
	fmt.Fprintf(&b, `<text x="%g" y="20" font-size="14" font-weight="bold">%s</text>`+"\n", chartLeft, html.EscapeString(c.Title))
	x, y := c.axis(0, c.LogX), c.axis(1, c.LogY)
	atX := func(v float64) float64 { return chartLeft + x.at(v)*(chartWidth-chartLeft-chartRight) }
	atY := func(v float64) float64 { return chartHeight - chartBottom - y.at(v)*(chartHeight-chartTop-chartBottom) }
	for _, v := range x.ticks() {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%g" x2="%.1f" y2="%g" stroke="#dddddd"/><text x="%.1f" y="%g" text-anchor="middle">%s</text>`+"\n",
			atX(v), chartTop, atX(v), chartHeight-chartBottom, atX(v), chartHeight-chartBottom+16, short(v))
	}
	for _, v := range y.ticks() {
		fmt.Fprintf(&b, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="#dddddd"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`+"\n",
			chartLeft, atY(v), chartWidth-chartRight, atY(v), chartLeft-6, atY(v)+4, short(v))
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", (chartWidth+chartLeft)/2, chartHeight-14, html.EscapeString(c.X))
	fmt.Fprintf(&b, `<text x="16" y="%g" text-anchor="middle" transform="rotate(-90 16 %[1]g)">%s</text>`+"\n", chartHeight/2, html.EscapeString(c.Y))
	for i, l := range c.Lines {
		tone := lineTones[i%len(lineTones)]
		var points []string
		for _, p := range l.Points {
			points = append(points, fmt.Sprintf("%.1f,%.1f", atX(p[0]), atY(p[1])))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`+"\n", atX(p[0]), atY(p[1]), tone)
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(points, " "), tone)
		fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="end" fill="%s">%s</text>`+"\n", chartWidth-chartRight, 20+14*float64(i), tone, html.EscapeString(l.Name))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// An axis is what it spans.
type axis struct {
	low, high float64
	log       bool
}

// axis spans all points in one dimension; a linear one begins at 0.
func (c Chart) axis(dimension int, log bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1), log: log}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			a.low, a.high = min(a.low, p[dimension]), max(a.high, p[dimension])
		}
	}
	switch {
	case a.low > a.high: // no point
		a.low, a.high = 1, 10
	case log:
		a.low = math.Pow(10, math.Floor(math.Log10(max(a.low, 1e-9))))
		a.high = math.Pow(10, math.Ceil(math.Log10(max(a.high, 1e-9))))
	default:
		a.low = min(a.low, 0)
	}
	if a.low == a.high {
		a.high = a.low + cmp.Or(math.Abs(a.low), 1)*9
	}
	return a
}

// at is where a value stands, 0 to 1.
func (a axis) at(v float64) float64 {
	if a.log {
		return (math.Log10(max(v, a.low)) - math.Log10(a.low)) / (math.Log10(a.high) - math.Log10(a.low))
	}
	return (v - a.low) / (a.high - a.low)
}

// ticks are round values on the axis.
func (a axis) ticks() (all []float64) {
	if a.log {
		for v := a.low; v <= a.high*1.001; v *= 10 {
			all = append(all, v)
		}
		return all
	}
	step := math.Pow(10, math.Floor(math.Log10((a.high-a.low)/chartTicks)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (a.high-a.low)/(step*factor) <= chartTicks {
			step *= factor
			break
		}
	}
	for v := math.Ceil(a.low/step) * step; v <= a.high*1.0001; v += step {
		all = append(all, v)
	}
	return all
}

// short writes a value with k or M.
func short(v float64) string {
	switch size := math.Abs(v); {
	case size >= 1e6:
		return fmt.Sprintf("%gM", round3(v/1e6))
	case size >= 1e3:
		return fmt.Sprintf("%gk", round3(v/1e3))
	}
	return fmt.Sprintf("%g", round3(v))
}

func round3(v float64) float64 { return math.Round(v*1000) / 1000 }

// sorted puts the points in the order of their x.
func sorted(points [][2]float64) [][2]float64 {
	slices.SortFunc(points, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	return points
}
