package inspect

import (
	"os"
	"path"
	"strings"
	"time"

	"closewait_exporter/diagnose"
	"closewait_exporter/kernel/host"
)

// quota counts the periods of the CPU quota of a cgroup.
type quota struct{ periods, throttled uint64 }

// readQuotas returns the quotas of the group of a process and of the groups above it: each can have
// one.
func readQuotas(process host.Directory) map[string]quota {
	membership, err := process.Read("cgroup", nil)
	if err != nil {
		return nil
	}
	quotas := map[string]quota{}
	for _, h := range host.FindHierarchies("cpu") {
		group, ok := h.GroupOf(membership)
		if !ok {
			continue
		}
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			dir := path.Join(h.Mount, group)
			if stat, err := os.ReadFile(path.Join(dir, "cpu.stat")); err == nil {
				quotas[dir] = parseQuota(string(stat))
			}
			if group == "/" {
				break
			}
		}
	}
	return quotas
}

// parseQuota parses a cpu.stat, which both versions of cgroups have.
func parseQuota(stat string) (q quota) {
	for line := range strings.Lines(stat) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := host.ParseNumber([]byte(value))
		switch name {
		case "nr_periods":
			q.periods = n
		case "nr_throttled":
			q.throttled = n
		}
	}
	return q
}

// throttled is the share of the periods in which the worst of the groups has used up its quota.
func throttled(before, after map[string]quota) (share float64) {
	for group, now := range after {
		was, known := before[group]
		if known && now.periods > was.periods && now.throttled >= was.throttled {
			share = max(share, float64(now.throttled-was.throttled)/float64(now.periods-was.periods))
		}
	}
	return share
}

// cpuOf is what threads got of the processors between two readings.
func cpuOf(before, after map[int]threadState, between time.Duration) (c diagnose.CPU) {
	var ran, waited time.Duration
	for tid, now := range after {
		was, known := before[tid]
		if known && was.ran.known && now.ran.known {
			c.Known = true
			ran += now.ran.ran - was.ran.ran
			waited += now.ran.waited - was.ran.waited
		}
	}
	if wanted := ran + waited; wanted > 0 {
		c.Wanted, c.Waited = wanted.Seconds()/between.Seconds(), waited.Seconds()/wanted.Seconds()
	}
	return c
}
