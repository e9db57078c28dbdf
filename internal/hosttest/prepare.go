package hosttest

import (
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest/tcp"
)

// prepare mounts a /proc for the new host and sets its loopback interface up.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return tcp.RaiseLoopback()
}
