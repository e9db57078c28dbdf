package e2e

import (
	"os"
	"sync"
	"testing"
	"time"

	"closewait_exporter/internal/promtest"
)

// leakRun is a run of servers that leak, with exporters and a Prometheus that observe them.
type leakRun struct {
	t           *testing.T
	servers     []*hangingServer
	exporters   []*observed
	watched     []*watchedList
	prometheus  promtest.Prometheus
	claims      []claim
	checkpoints []time.Duration
	span        time.Duration // over which queries compute a speed
	closedAfter time.Duration // within which a socket with keepalive becomes closed

	started     time.Time
	scrapes     *time.Ticker
	stopLeaking func()
}

func startLeakRun(t *testing.T) *leakRun {
	r := &leakRun{
		t: t, checkpoints: []time.Duration{time.Minute, 90 * time.Second}, span: 30 * time.Second,
		closedAfter: 30 * time.Second, claims: claims(t), scrapes: time.NewTicker(time.Second),
	}
	t.Cleanup(r.scrapes.Stop)
	tested := languages(t)
	if os.Getenv(longVariable) != "" {
		r.checkpoints = []time.Duration{time.Minute, 2 * time.Minute, 10 * time.Minute}
		r.closedAfter = 90 * time.Second
	} else {
		tested = tested[:1]
		set(t, "tcp_fin_timeout", "5") // so that the next probe meets no peer
	}
	// Go has its own times for keepalive; these are for the other languages.
	set(t, "tcp_keepalive_time", "15")
	set(t, "tcp_keepalive_intvl", "15")

	r.exporters = observe(t)
	jobs := map[string][]string{}
	for _, o := range r.exporters {
		jobs[o.scanner] = []string{o.address}
		r.watched = append(r.watched, watchList(t, o.scanner))
	}
	r.prometheus = promtest.StartPrometheus(t, jobs, rulesForMinutes(t))
	for _, language := range tested {
		r.servers = append(r.servers, language.start(t, true), language.start(t, false))
	}
	r.started = time.Now()
	r.stopLeaking = r.leakEachSecond()
	return r
}

// set changes a setting of the network of the test's own host.
func set(t *testing.T, name, value string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0))
}

// leakEachSecond lets each server leak a connection each second, until stop is called.
func (r *leakRun) leakEachSecond() (stop func()) {
	var leaking sync.WaitGroup
	done := make(chan struct{})
	leaking.Go(func() {
		pace := time.NewTicker(time.Second)
		defer pace.Stop()
		for {
			for _, s := range r.servers {
				if err := s.leak(); err != nil {
					r.t.Error(err)
					return
				}
			}
			select {
			case <-pace.C:
			case <-done:
				return
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); leaking.Wait() })
	r.t.Cleanup(stop)
	return stop
}

func (r *leakRun) elapsed() time.Duration { return time.Since(r.started) }

// pause waits for the next scrape.
func (r *leakRun) pause() { <-r.scrapes.C }

func (r *leakRun) checkMetrics() {
	r.t.Helper()
	for _, o := range r.exporters {
		o.check(r.servers)
	}
}
