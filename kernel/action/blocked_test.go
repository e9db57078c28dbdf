package action

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// freezableDisk is a file system on a loop device. While it is frozen, threads that write to it are
// in uninterruptible sleep.
type freezableDisk struct {
	dir    string
	freeze func()
	thaw   func()
}

// newFreezableDisk skips the test where no loop device can be mounted. A frozen disk thaws at the
// end of the test, and after a while even if the test blocks, because nothing else wakes the
// threads.
func newFreezableDisk(t *testing.T) freezableDisk {
	t.Helper()
	leaktest.RequireRoot(t)
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	writeFile(t, image, "")
	if err := os.Truncate(image, 8<<20); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("needs a loop device with ext4: %v: %v: %s", command, err, out)
		}
	}
	t.Cleanup(func() {
		leaktest.Eventually(t, soon, func() (bool, string) {
			err := unix.Unmount(dir, 0)
			return err == nil, fmt.Sprintf("unmount: %v", err)
		})
	})
	mount, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	const fifreeze, fithaw = 0xc0045877, 0xc0045878 // include/uapi/linux/fs.h
	disk := freezableDisk{dir: dir}
	disk.thaw = sync.OnceFunc(func() {
		_ = unix.IoctlSetInt(int(mount.Fd()), fithaw, 0)
		mount.Close()
	})
	disk.freeze = func() {
		if err := unix.IoctlSetInt(int(mount.Fd()), fifreeze, 0); err != nil {
			t.Skipf("cannot freeze a file system: %v", err)
		}
		t.Cleanup(disk.thaw)
		time.AfterFunc(soon, disk.thaw)
	}
	return disk
}

// mmLocker is a program that holds the lock of its address space while a disk is frozen: one thread
// writes to a page of a file on the disk, and another thread unmaps a page, which must wait for the
// write.
const mmLocker = `
import ctypes, mmap, os, sys, threading
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 20)
at = libc.mmap(None, 1 << 20, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)
print("mapped", flush=True)
sys.stdin.readline()
threading.Thread(target=libc.memset, args=(at, 1, 1)).start()
def waits(thread):
    return ") D " in open(f"/proc/self/task/{thread}/stat").read()
while not any(waits(thread) for thread in os.listdir("/proc/self/task")):
    pass
libc.munmap(at + (1 << 19), 4096)
sys.stdin.readline()
`

// startMMLocker starts mmLocker, freezes the disk and makes the program block.
func startMMLocker(t *testing.T, disk freezableDisk) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("python3", "-c", mmLocker, filepath.Join(disk.dir, "file"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("needs python3: %v", err)
	}
	t.Cleanup(func() {
		disk.thaw()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "mapped\n" {
		t.Fatalf("%q, %v", line, err)
	}
	disk.freeze()
	if _, err := stdin.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestAProcessThatIsBlockedInTheKernelIsUnkillableAndDelaysNoOther calls everything that a blocked
// process could block.
func TestAProcessThatIsBlockedInTheKernelIsUnkillableAndDelaysNoOther(t *testing.T) {
	e := newExecutor(t)
	disk := newFreezableDisk(t)
	pid := startMMLocker(t, disk).Process.Pid
	h := openHandle(t, e, pid)
	leaktest.Eventually(t, soon/2, func() (bool, string) {
		s, err := h.State()
		return err == nil && s.Blocked == 2 && !s.Halted(), fmt.Sprintf("%+v, %v, want two threads blocked", s, err)
	})
	lines := procfs.NewCommandLines(e.host)
	began := time.Now()
	for range 3 {
		if text, err := lines.Of(t.Context(), &closewait.Process{ID: kerneltest.IdentityOf(t, pid)}); !errors.Is(err, host.ErrHangs) {
			t.Errorf("its command line: %q, %v, want %v", text, err, host.ErrHangs)
		}
	}
	if text, err := lines.Of(t.Context(), &closewait.Process{ID: kerneltest.IdentityOf(t, os.Getpid())}); err != nil || text == "" {
		t.Errorf("the command line of another process: %q, %v", text, err)
	}
	if _, err := e.Holders(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if _, err := h.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := h.Signal("KILL"); err != nil {
		t.Error(err)
	}
	expectNoExit(t, h)
	if took := time.Since(began); took > soon/4 {
		t.Errorf("it took %v", took)
	}
	disk.thaw()
	awaitEnd(t, h)
}

func TestAGuardThatIsBlockedInTheKernelIsLeftBehind(t *testing.T) {
	e := newExecutor(t)
	disk := newFreezableDisk(t)
	disk.freeze()
	r := runForLonger(t, e, "echo $$; echo x > "+filepath.Join(disk.dir, "file"), func(r guardRun) bool { return errors.Is(r.err, host.ErrHangs) })
	if !errors.Is(r.err, closewait.ErrGuardFailed) || !errors.Is(r.err, host.ErrHangs) {
		t.Errorf("%v, want %v as %v", r.err, closewait.ErrGuardFailed, host.ErrHangs)
	}
	if r.took > r.timeout+2*guardKillTimeout {
		t.Errorf("it took %v with a timeout of %v", r.took, r.timeout)
	}
	disk.thaw()
	leaktest.Eventually(t, soon, func() (bool, string) {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(r.output) + "/stat")
		return errors.Is(err, os.ErrNotExist), "the guard is still there: " + string(stat)
	})
}
