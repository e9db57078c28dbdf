package app

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/go-kit/log/level"
)

// watchdogPings is how many times the watchdog is notified within its timeout.
const watchdogPings = 3

// notify tells systemd how the exporter is (sd_notify(3)). Without systemd it does nothing.
func (s *server) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		level.Warn(s.logger).Log("msg", "Cannot notify systemd", "state", state, "err", err)
	}
}

// feedWatchdog notifies the watchdog of systemd until ctx ends, except while the loop of the reaper
// hangs. Then systemd restarts the exporter. Without WatchdogSec= it does nothing.
func (s *server) feedWatchdog(ctx context.Context, hangs func() bool) {
	timeout, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		level.Warn(s.logger).Log("msg", "Cannot use the watchdog of systemd", "err", err)
	}
	if timeout == 0 {
		return
	}
	tick := time.NewTicker(timeout / watchdogPings)
	defer tick.Stop()
	for hung := false; ; {
		before := hung
		if hung = hangs(); !hung {
			s.notify(daemon.SdNotifyWatchdog)
		} else if !before {
			level.Error(s.logger).Log("msg", "The reaper hangs, systemd will restart the exporter", "within", timeout)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
