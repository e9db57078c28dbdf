package action

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// Boot returns the boot id of the kernel and the time since boot, including suspended time.
func (e *Executor) Boot() (closewait.Boot, error) {
	id, err := e.host.Proc.Read("sys/kernel/random/boot_id", nil)
	if err != nil {
		return closewait.Boot{}, fmt.Errorf("read boot id: %w", err)
	}
	var uptime unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &uptime); err != nil {
		return closewait.Boot{}, fmt.Errorf("read uptime: %w", err)
	}
	return closewait.Boot{ID: strings.TrimSpace(string(id)), Uptime: time.Duration(uptime.Nano())}, nil
}
