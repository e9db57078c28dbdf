package host

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// ErrMalformed is wrapped by the error of every parser whose input is not what the kernel writes:
// cut short, or in an unknown layout. The item is skipped and counted.
var ErrMalformed = errors.New("malformed")

// ErrHangs reports that the kernel did not answer in time. Files such as /proc/PID/cmdline and maps
// wait for a lock that a thread in uninterruptible sleep can hold for ever, and so do system calls
// that lock a socket.
var ErrHangs = errors.New("the kernel does not answer: a thread of the process is blocked in it")

// Vanished reports whether an error means that the process has ended or (ENXIO, from a table in
// /proc/PID/net) that the last process in its network namespace has.
func Vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENXIO)
}

// GoneIfVanished adds closewait.ErrGone to an error that means that the process has ended.
func GoneIfVanished(err error) error {
	if Vanished(err) {
		return fmt.Errorf("%w: %w", closewait.ErrGone, err)
	}
	return err
}

// Denied reports whether an error means that a permission is missing.
func Denied(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// OutOfResources reports whether an error means that the exporter itself, or the host, has no
// descriptors or memory left. Such an error says nothing about the process that was read.
func OutOfResources(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) ||
		errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS)
}

// RetryEINTR calls f again for as long as a signal interrupts it.
func RetryEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
