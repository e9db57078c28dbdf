package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// Uptime returns the time since boot, suspended time included (CLOCK_BOOTTIME), which the clock of
// package time leaves out. It returns 0 if the kernel does not know it.
func Uptime() time.Duration {
	var uptime unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &uptime); err != nil {
		return 0
	}
	return time.Duration(uptime.Nano())
}

// bootTime returns the wall-clock time of the boot in whole seconds, as btime in /proc/stat.
func bootTime() time.Time { return time.Now().Add(-Uptime()).Truncate(time.Second) }
