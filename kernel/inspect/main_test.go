package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/leaktest/tcp"
	"closewait_exporter/kernel/host"
)

// role is the environment variable that says what the test binary is run for.
const role = "INSPECT_TEST_ROLE"

// roles are what the test binary does in the place of a test.
var roles = map[string]func() error{
	"memory": func() error {
		h, err := host.Open(host.DefaultPath)
		if err != nil {
			return err
		}
		return ReadMemory(context.Background(), h, os.Stdin, os.Stdout)
	},
	"denied": func() error {
		if err := denyTracing(); err != nil {
			return err
		}
		h, err := host.Open(host.DefaultPath)
		if err != nil {
			return err
		}
		return ReadMemory(context.Background(), h, os.Stdin, os.Stdout)
	},
	"hang":      func() error { select {} },
	"waiter":    wait,
	"userfault": waitInUnservedMemory,
	"unreader":  acceptAndRead,
	"locked":    readWithLock,
}

func TestMain(m *testing.M) {
	if play := roles[os.Getenv(role)]; play != nil {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// A killed child process that takes long to end is abandoned.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("closewait_exporter/kernel/child.(*Process).End.func1"))
}

// waiterFDs are the descriptors for which the threads of the role waiter wait.
type waiterFDs struct{ Listener, Connection, Pipe, Epoll int }

// wait lets threads wait in several calls for a listener, a connection to it that is not accepted,
// and a pipe.
func wait() error {
	var fds waiterFDs
	_, at, err := tcp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	connection, _, err := tcp.Connect(netip.Addr{}, at, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], 0); err != nil {
		return err
	}
	idle, _, err := tcp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(0)
	if err != nil {
		return err
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, idle, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(idle)}); err != nil {
		return err
	}
	if err := unix.SetNonblock(connection, false); err != nil {
		return err
	}
	fds = waiterFDs{idle, connection, pipe[0], epoll}
	block := func(call func()) {
		go func() {
			runtime.LockOSThread()
			call()
		}()
	}
	buf := make([]byte, 8)
	block(func() { _, _ = unix.Read(pipe[0], buf) })
	block(func() { _, _ = unix.Read(connection, buf) })
	block(func() { _, _ = unix.Poll([]unix.PollFd{{Fd: int32(idle), Events: unix.POLLIN}}, -1) })
	block(func() {
		set := &unix.FdSet{}
		set.Set(idle)
		_, _ = unix.Select(idle+1, set, nil, nil, nil)
	})
	block(func() { _, _ = unix.EpollWait(epoll, make([]unix.EpollEvent, 1), -1) })
	if err := json.NewEncoder(os.Stdout).Encode(fds); err != nil {
		return err
	}
	_, err = os.Stdin.Read(buf)
	return err
}

// unservedMemory returns memory that never arrives, as happens while a virtual machine is moved.
func unservedMemory() ([]byte, error) {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	api := struct{ api, features, ioctls uint64 }{api: 0xaa}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, 0xc018aa3f, uintptr(unsafe.Pointer(&api))); errno != 0 { // UFFDIO_API
		return nil, errno
	}
	register := struct{ start, length, mode, ioctls uint64 }{uint64(uintptr(unsafe.Pointer(&page[0]))), uint64(len(page)), 1, 0}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, 0xc020aa00, uintptr(unsafe.Pointer(&register))); errno != 0 { // UFFDIO_REGISTER
		return nil, errno
	}
	return page, nil
}

// waitInUnservedMemory lets a thread poll with a set that never arrives.
func waitInUnservedMemory() error {
	page, err := unservedMemory()
	if err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		_, _, _ = unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&page[0])), 1, 0, 0, 0, 0)
	}()
	fmt.Println("{}")
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// denyTracing makes the system calls fail that Yama forbids, for all threads.
func denyTracing() error {
	deny := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.SYS_PROCESS_VM_READV},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_PIDFD_GETFD},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(deny)), Filter: &deny[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}

// played is a role that is being played.
type played struct {
	id      closewait.ProcessID
	stdin   io.Writer
	answers *json.Decoder
}

// start runs the test binary in a role until the test ends, and returns what it has written first.
func start(t *testing.T, name string, answer any) played {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), role+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	answers := json.NewDecoder(stdout)
	if err := answers.Decode(answer); err != nil {
		t.Skipf("the role %s cannot be played here: %v", name, err)
	}
	id, err := Find(openHost(t), cmd.Process.Pid)
	must(t, err)
	return played{id, stdin, answers}
}

// reader is a Reader whose child process has a role.
func reader(t *testing.T, name string) *Reader {
	t.Helper()
	return &Reader{Host: openHost(t), Child: []string{leaktest.RequireProgram(t, "env"), role + "=" + name, os.Args[0]}, Workers: 1}
}

func openHost(t *testing.T) *host.Host {
	t.Helper()
	h, err := host.Open(host.DefaultPath)
	must(t, err)
	t.Cleanup(h.Close)
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
