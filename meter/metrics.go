package meter

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// functionsMax is how many functions have counters of their own, functionIdle how long one that does not run keeps them: names
// come and go, and a Prometheus server pays for each. Those beyond the limit are counted together.
const (
	functionsMax = 2_000
	functionIdle = 24 * time.Hour
	functionRest = "(others)"
)

// metrics are the counters that a Prometheus server scrapes.
type metrics struct {
	mu   sync.Mutex
	seen map[string]time.Time // guarded by mu; when a function with counters of its own ran last

	registry    *prometheus.Registry
	invocations *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	cold        *prometheus.HistogramVec
	billed      *prometheus.CounterVec
	cost        *prometheus.CounterVec
	dropped     prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "rouse", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "rouse", Name: name, Help: help,
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900}}, labels)
	}
	m := &metrics{
		seen:        map[string]time.Time{},
		registry:    prometheus.NewRegistry(),
		invocations: counter("invocations_total", "Attempts by outcome, cause and start.", "function", "outcome", "cause", "start"),
		duration:    histogram("invocation_duration_seconds", "Time that the handler ran.", "function"),
		cold:        histogram("cold_start_seconds", "Time of a cold start by phase.", "phase"),
		billed:      counter("billed_seconds_total", "Billed time.", "function"),
		cost:        counter("cost_total", "Cost by the price book.", "function"),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "rouse", Name: "usage_records_dropped_total",
			Help: "Usage records lost because the store did not keep up."}),
	}
	m.registry.MustRegister(m.invocations, m.duration, m.cold, m.billed, m.cost, m.dropped,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// label is the function that r is counted for.
func (m *metrics) label(r Record) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.seen[r.Function]; !ok && len(m.seen) >= functionsMax {
		return functionRest
	}
	m.seen[r.Function] = r.At
	return r.Function
}

// forget drops the counters of functions that have not run for long.
func (m *metrics) forget(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for f, at := range m.seen {
		if now.Sub(at) < functionIdle {
			continue
		}
		delete(m.seen, f)
		of := prometheus.Labels{"function": f}
		m.invocations.DeletePartialMatch(of)
		m.duration.DeletePartialMatch(of)
		m.billed.DeletePartialMatch(of)
		m.cost.DeletePartialMatch(of)
	}
}

func (m *metrics) observe(r Record) {
	r.Function = m.label(r)
	m.invocations.WithLabelValues(r.Function, string(r.Outcome), string(r.Cause), string(r.Timing.Start)).Inc()
	if r.Outcome == Throttled || r.Outcome == Broken {
		return
	}
	m.duration.WithLabelValues(r.Function).Observe(r.Timing.Run.Seconds())
	m.billed.WithLabelValues(r.Function).Add(r.Timing.Billed.Seconds())
	m.cost.WithLabelValues(r.Function).Add(r.Cost)
	if r.Timing.Start != "cold" {
		return
	}
	t := r.Timing
	m.cold.WithLabelValues("queued").Observe(t.Queued.Seconds())
	m.cold.WithLabelValues("sandbox").Observe(t.Sandbox.Seconds())
	m.cold.WithLabelValues("mount").Observe(t.Mount.Seconds())
	m.cold.WithLabelValues("runtime").Observe(t.Runtime.Seconds())
	m.cold.WithLabelValues("init").Observe(t.Init.Seconds())
}

// Handler serves the metrics in Prometheus' text format.
func (m *Meter) Handler() http.Handler {
	return promhttp.HandlerFor(m.metrics.registry, promhttp.HandlerOpts{})
}

// Gauge adds a number that is asked for at each scrape, such as the instances of a pool.
func (m *Meter) Gauge(name, help string, value func() float64) {
	m.metrics.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: "rouse", Name: name, Help: help}, value))
}
