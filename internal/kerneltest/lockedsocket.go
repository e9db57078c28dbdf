package kerneltest

import (
	"os"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/leaktest"
)

// LockSocket leaks a socket in CLOSE_WAIT whose lock a thread of the test holds, until release is
// called or the test ends: the thread receives into a page of memory that userfaultfd(2) has to
// provide.
func LockSocket(t testing.TB) (c *leaktest.Connection, release func()) {
	t.Helper()
	leaktest.RequireRoot(t)
	c = leaktest.Connect(t, leaktest.Listen(t, "tcp", "127.0.0.1:0"))
	if _, err := c.Client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	c.CloseClient()
	page, awaitFault, provide := missingPage(t)
	raw, err := c.Server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan error, 1)
	go func() {
		var failed error
		err := raw.Control(func(fd uintptr) { _, _, failed = unix.Recvfrom(int(fd), page, 0) })
		if err == nil {
			err = failed
		}
		received <- err
	}()
	release = sync.OnceFunc(func() {
		provide()
		if err := <-received; err != nil {
			t.Errorf("receive from the locked socket: %v", err)
		}
		_ = unix.Munmap(page)
	})
	t.Cleanup(release)
	awaitFault()
	return c, release
}

// Requests of userfaultfd (include/uapi/linux/userfaultfd.h), and their arguments.
const (
	uffdioAPI      = 0xc018aa3f
	uffdioRegister = 0xc020aa00
	uffdioZeropage = 0xc020aa04
	uffdAPI        = 0xaa
	modeMissing    = 1
)

type (
	uffdVersion struct{ api, features, ioctls uint64 }
	uffdRange   struct{ start, length, mode, result uint64 }
)

// missingPage returns a page of memory. A thread that accesses it waits until provide is called.
// awaitFault returns when a thread waits.
func missingPage(t testing.TB) (page []byte, awaitFault, provide func()) {
	t.Helper()
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		t.Skipf("needs userfaultfd: %v", errno)
	}
	uffd := os.NewFile(fd, "userfaultfd")
	t.Cleanup(func() { _ = uffd.Close() })
	control := func(request uintptr, argument unsafe.Pointer) error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
			return os.NewSyscallError("ioctl", errno)
		}
		return nil
	}
	version := uffdVersion{api: uffdAPI}
	if err := control(uffdioAPI, unsafe.Pointer(&version)); err != nil {
		t.Fatal(err)
	}
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	missing := uffdRange{start: uint64(uintptr(unsafe.Pointer(&page[0]))), length: uint64(len(page)), mode: modeMissing}
	if err := control(uffdioRegister, unsafe.Pointer(&missing)); err != nil {
		t.Fatal(err)
	}
	awaitFault = func() {
		const eventSize = 32 // of struct uffd_msg
		if _, err := uffd.Read(make([]byte, eventSize)); err != nil {
			t.Errorf("wait for the access: %v", err)
		}
	}
	return page, awaitFault, func() {
		zero := uffdRange{start: missing.start, length: missing.length}
		if err := control(uffdioZeropage, unsafe.Pointer(&zero)); err != nil {
			t.Errorf("provide the page: %v", err)
		}
	}
}
