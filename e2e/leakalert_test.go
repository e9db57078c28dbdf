package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"closewait_exporter/internal/leaktest"
)

var wastedInText = regexp.MustCompile(`([0-9.]+)\s+of\s+them`)

// checkAlerts takes descriptors from each server, and waits until the alert that they run out soon
// fires with each scanner, with the right numbers.
func (r *leakRun) checkAlerts() {
	r.t.Helper()
	const soon = 50 // seconds, at this pace
	for _, s := range r.servers {
		limit := limitOf(r.t, s.pid)
		leaveHeadroom(r.t, s.pid, soon)
		for _, o := range r.exporters {
			leaktest.Eventually(r.t, maxWait, func() (bool, string) { return r.alertHolds(o.scanner, s) })
		}
		setLimit(r.t, s.pid, limit)
	}
}

// alertHolds compares the value and the description of the alert with the truth.
func (r *leakRun) alertHolds(scanner string, s *hangingServer) (holds bool, why string) {
	const window = 15 * time.Second // of the rule, 60 times as fast
	value, text, err := r.alert("ClosewaitDescriptorsRunOutSoon", scanner, s.pid)
	if err != nil {
		return false, err.Error()
	}
	wasted := wastedInText.FindStringSubmatch(text)
	if wasted == nil {
		return false, "no number of wasted descriptors in " + text
	}
	n, err := strconv.ParseFloat(wasted[1], 64)
	now := time.Now()
	least, most := truth(r.t, timeLeft, s, now, window)
	fewest, all := truth(r.t, number, s, now, window)
	return err == nil && n >= fewest && n <= all && value >= least && value <= most,
		fmt.Sprintf("%s, %v: %v s left, want %v to %v; %v descriptors wasted, want %v to %v: %s", scanner, s, value, least, most, n, fewest, all, text)
}

// alert returns the value and the description of a firing alert.
func (r *leakRun) alert(name, scanner string, pid int) (value float64, text string, err error) {
	var answer struct {
		Alerts []struct {
			Labels, Annotations map[string]string
			State, Value        string
		}
	}
	if err := r.prometheus.Get("alerts", nil, &answer); err != nil {
		return 0, "", err
	}
	for _, a := range answer.Alerts {
		if a.State == "firing" && has(a.Labels, append(of(pid), "alertname", name, "job", scanner)) {
			value, err := strconv.ParseFloat(a.Value, 64)
			return value, a.Annotations["description"], err
		}
	}
	return 0, "", fmt.Errorf("%s does not fire for process %d with the %s scanner: %+v", name, pid, scanner, answer.Alerts)
}
