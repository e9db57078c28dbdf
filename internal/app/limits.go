package app

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// maxConnections returns how many connections may be open: as many as the flag says, but at most
// half of the descriptors that are free at start. The other half is left to scans and actions, so
// that clients cannot make them fail. The Go runtime has raised the soft limit to the hard one.
func maxConnections(flag int, logger log.Logger) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("get the limit of descriptors: %w", err)
	}
	open, _ := os.ReadDir("/proc/self/fd") // without /proc the half is a little too large
	allowed := connectionsWithin(int(min(limit.Cur, math.MaxInt32)), len(open))
	if flag == 0 {
		return allowed, nil
	}
	if allowed < flag {
		level.Info(logger).Log("msg", "The limit of descriptors allows fewer connections than --web.max-connections",
			"connections", allowed, "descriptors", limit.Cur)
	}
	return min(flag, allowed), nil
}

// connectionsWithin returns half of the descriptors that are free, at least 1.
func connectionsWithin(descriptors, open int) int { return max(1, (descriptors-open)/2) }

// limitMemory sets the soft memory limit of the Go runtime to 90 % of the limit of the cgroup, if
// there is one and GOMEMLIMIT does not say otherwise. The runtime then collects garbage more often
// instead of exceeding the limit.
func limitMemory(logger log.Logger) {
	limit, err := memlimit.Set(memlimit.WithLogger(slog.New(slog.DiscardHandler)))
	switch {
	case err != nil: // there is no cgroup
		level.Debug(logger).Log("msg", "Memory limit of the cgroup is unknown", "err", err)
	case limit < math.MaxInt64:
		level.Info(logger).Log("msg", "Memory is limited", "gomemlimit_bytes", limit)
	}
}
