package kerneltest

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RegisterInRing makes a ring of io_uring for the test and registers the file of a connection in it
// (io_uring_register(2)). The ring keeps the file open after the connection is closed. It skips the
// test where there is no io_uring.
func RegisterInRing(t *testing.T, c syscall.Conn) {
	t.Helper()
	const entries, registerFiles, paramsSize = 4, 2, 120
	var params [paramsSize]byte
	ring, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, entries, uintptr(unsafe.Pointer(&params[0])), 0)
	if errors.Is(errno, unix.ENOSYS) || errors.Is(errno, unix.EPERM) {
		t.Skipf("no io_uring here: %v", errno)
	}
	if errno != 0 {
		t.Fatal(os.NewSyscallError("io_uring_setup", errno))
	}
	t.Cleanup(func() { unix.Close(int(ring)) })
	Descriptor(t, c, func(fd int) {
		files := [...]int32{int32(fd)}
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, ring, registerFiles, uintptr(unsafe.Pointer(&files[0])), uintptr(len(files)), 0, 0)
		if errno != 0 {
			t.Fatal(os.NewSyscallError("io_uring_register", errno))
		}
	})
}
