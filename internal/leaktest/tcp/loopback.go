package tcp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseLoopback does what `ip link set lo up` does in the network namespace of the caller: in a new
// namespace the interface is down.
func RaiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("set lo up (needs CAP_NET_ADMIN in the namespace): %w", err)
	}
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
