package scan_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

func TestSocketsInOtherNamespacesAreSeen(t *testing.T) {
	here := leaktest.Start(t, "--sockets=1")
	there := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--outbound=2", "--unaccepted=4", "--listen=127.0.0.1:0", "--listen=[::1]:0")
	guest := leaktest.Where{NetNSOf: there.PID}.Start(t, "--sockets=2")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		for _, l := range []*leaktest.Leak{here, there, guest} {
			v.agrees(l)
			if h := v.holder(l.PID); h.NetNS != netNSOf(t, l.PID) {
				t.Errorf("process %d lives in namespace %d, not %d", l.PID, netNSOf(t, l.PID), h.NetNS)
			}
		}
		if v.Namespaces != 2 || v.UnreadableNamespaces != 0 {
			t.Errorf("%d namespaces read and %d not, want 2 and 0", v.Namespaces, v.UnreadableNamespaces)
		}

		v = openTracked(t, kind, scan.Options{Namespaces: scan.OwnNamespace}).view()
		if v.Namespaces != 1 || v.held(here.PID) != 1 || v.find(there.PID) != nil {
			t.Errorf("with its own namespace only, %d namespaces: %v", v.Namespaces, v)
		}
	})
}

func TestTheSameAddressInTwoNamespacesIsTwo(t *testing.T) {
	args := []string{"--listen=127.0.0.1:4001", "--idle-listen=127.0.0.1:4002", "--sockets=2", "--unaccepted=2"}
	one, two := leaktest.Where{NetNS: true}.Start(t, args...), leaktest.Where{NetNS: true}.Start(t, append(args, "--outbound=1")...)
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		v.agrees(one)
		v.agrees(two)
		for _, l := range []*leaktest.Leak{one, two} {
			if n := v.unaccepted(l.PID); n != 2 {
				t.Errorf("process %d has %d unaccepted, want 2", l.PID, n)
			}
		}
	})
}

func TestASocketBelongsToTheNamespaceInWhichItWasMade(t *testing.T) {
	there := leaktest.Where{NetNS: true}.Start(t, "--sockets=1")
	ns := netNSOf(t, there.PID)
	var c *connection
	inNamespaceOf(t, there.PID, func() { c = connect(t, listen(t, "127.0.0.1:0")) })
	c.CloseClient()
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		v := openTracked(t, kind, scan.Options{}).view()
		if s := v.socket(ns, c.Local(), c.Remote()); s.Direction != closewait.Inbound {
			t.Errorf("%v, want inbound", s.Direction)
		}
		if h := v.holder(os.Getpid()); h.Ended.Len() != 1 || h.NetNS != netNSOf(t, os.Getpid()) {
			t.Errorf("we hold %d and live in namespace %d, want 1 and %d", h.Ended.Len(), h.NetNS, netNSOf(t, os.Getpid()))
		}
	})
}

func TestNamespacesThatComeAndGoDisturbNothing(t *testing.T) {
	hosttest.Require(t)
	here, there := leaktest.Start(t, "--sockets=2"), leaktest.Where{NetNS: true}.Start(t, "--sockets=3")
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		stop := inLoop(t, 3, func() error {
			// Two processes in turn: the namespace outlives the first, through which it may be
			// entered.
			cmd := exec.Command("sh", "-c", "sleep 0.02 & sleep 0.001; wait")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
			return cmd.Run()
		})
		most := 0
		for start := time.Now(); time.Since(start) < 1500*time.Millisecond || most < 3 && time.Since(start) < timeout; {
			v := scanner.view()
			most = max(most, v.Namespaces)
			if a, b := v.held(here.PID), v.held(there.PID); a != 2 || b != 3 || v.Sockets.Total() != 5 {
				t.Fatalf("%d and %d of %d sockets, want 2 and 3 of 5", a, b, v.Sockets.Total())
			}
			if v.Durations.Count != 0 {
				t.Fatalf("%d sockets have left", v.Durations.Count)
			}
		}
		stop()
		if scanErrors := scanErrorsOf(scanner.host); len(scanErrors) != 0 {
			t.Errorf("scan errors %v: a namespace that vanishes is none", scanErrors)
		}
		if most < 3 {
			t.Errorf("at most %d namespaces were seen, want 3 or more", most)
		}
	})
}

func TestScansLeaveNothingOpenAndPinNoNamespace(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--unaccepted=1")
	watch := pairOfInterfaces(t, l.PID)
	allScanned := t
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner, err := open(scan.Options{Scanner: kind.name, Refresh: always})
		if err != nil {
			t.Fatal(err)
		}
		allScanned.Cleanup(scanner.Close) // not before the namespace has to be gone
		scans := 1000
		if !kind.cookies {
			scans = 200 // each formats all sockets of every namespace
		}
		var fds, threads int
		for i := range scans {
			if _, err := scanner.Scan(t.Context()); err != nil {
				t.Fatal(err)
			}
			if i == scans/10 { // the Go runtime has started its threads by now
				fds, threads = count(t, "/proc/self/fd/*"), count(t, "/proc/self/task/*")
			}
		}
		if n := count(t, "/proc/self/fd/*"); n != fds {
			t.Errorf("%d descriptors, %d scans ago %d", n, scans-scans/10, fds)
		}
		if n := count(t, "/proc/self/task/*"); n > threads+3 {
			t.Errorf("%d threads, %d scans ago %d", n, scans-scans/10, threads)
		}
		home := netNSOf(t, os.Getpid())
		for _, task := range matches(t, "/proc/self/task/*/ns/net") {
			if target, err := os.Readlink(task); err == nil && target != "net:["+strconv.FormatUint(uint64(home), 10)+"]" {
				t.Errorf("a thread has stayed in %s", target)
			}
		}
	})
	l.Stop()
	leaktest.Eventually(t, timeout, func() (bool, string) {
		_, err := os.Stat(watch)
		return os.IsNotExist(err), "the namespace of a program that has ended is still there"
	})
}

// pairOfInterfaces makes a network interface here whose peer is in the namespace of a process. It
// is removed with that namespace. It returns a file that exists as long as the interface does.
func pairOfInterfaces(t *testing.T, pid int) string {
	t.Helper()
	const name = "watch0"
	out, err := exec.Command("ip", "link", "add", name, "type", "veth", "peer", "name", "watch1", "netns", strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		t.Skipf("needs ip and veth: %v\n%s", err, out)
	}
	watch := "/proc/sys/net/ipv4/conf/" + name
	if _, err := os.Stat(watch); err != nil {
		t.Fatal(err)
	}
	return watch
}

// inNamespaceOf calls f on a thread that is in the network namespace of a process.
func inNamespaceOf(t *testing.T, pid int, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	away, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err) // this thread must not go on with other tests
		}
	}()
	f()
}

// inLoop calls f repeatedly, with a number of workers, until stop is called or the test ends.
func inLoop(t *testing.T, workers int, f func() error) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := f(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(done)
		group.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func count(t testing.TB, pattern string) int { return len(matches(t, pattern)) }

func matches(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
