package scan_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/scan"
)

// TestAPidNamespaceHasPidsOfItsOwn runs the scanner in a pid namespace, beside a program that
// leaks. Another program leaks outside, in the same network namespace.
func TestAPidNamespaceHasPidsOfItsOwn(t *testing.T) {
	hosttest.Require(t)
	leaktest.Start(t, "--sockets=3", "--unaccepted=1")
	// The program inside ends with the pid namespace, which ends with its process 1, the service.
	service := startScanService(t, nil, "unshare", "--pid", "--fork", "--mount-proc", "sh", "-c",
		leaktest.Build(t)+` server --sockets=2 --unaccepted=1 --closed=1 >/dev/null </dev/null & exec "$@"`, "sh")
	const inside = 2
	leaktest.Eventually(t, timeout, func() (bool, string) {
		got := service.ask(scanRequest{Open: &scan.Options{Refresh: always}, Scan: true})
		if got.Error != "" || got.Visibility.Scanner != scan.ScannerEBPF || got.Visibility.Fallback != "" {
			t.Fatalf("scanner %q because %q, error %q", got.Visibility.Scanner, got.Visibility.Fallback, got.Error)
		}
		if len(got.Holders) > 1 {
			t.Errorf("holders %v, want process %d alone", got.Holders, inside)
		}
		done := got.Holders[inside] == reportedHolder{CloseWait: 2, Unaccepted: 1, Closed: 1, Entered: 3}
		return done && got.Owners["unresolved"] == 3 && got.Owners["unaccepted"] == 2, fmt.Sprintf("%+v", got)
	})
}

func TestNetlinkIsUsedWherePidsOrStartTimesDiffer(t *testing.T) {
	hosttest.Require(t)
	l := leaktest.Start(t, "--sockets=3")
	for name, c := range map[string]struct {
		behind []string
		reason string
	}{
		"the /proc of another pid namespace": {[]string{"unshare", "--pid", "--fork"}, "another pid namespace"},
		"a time namespace":                   {[]string{"unshare", "--time", "--boottime=1000", "--fork"}, "a time namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := exec.Command(c.behind[0], append(c.behind[1:], "true")...).CombinedOutput(); err != nil {
				t.Skipf("%v: %v\n%s", c.behind, err, out)
			}
			service := startScanService(t, nil, c.behind...)
			got := service.ask(scanRequest{Open: &scan.Options{}, Scan: true})
			if got.Visibility.Scanner != scan.ScannerNetlink || !strings.Contains(got.Visibility.Fallback, c.reason) {
				t.Errorf("scanner %q because %q", got.Visibility.Scanner, got.Visibility.Fallback)
			}
			if got.Holders[l.PID].CloseWait != 3 {
				t.Errorf("holders %v, want 3 sockets of %d; %s", got.Holders, l.PID, got.Error)
			}
			if got := service.ask(scanRequest{Open: &scan.Options{Scanner: scan.ScannerEBPF}}); !strings.Contains(got.Error, c.reason) {
				t.Errorf("when ebpf was asked for: %q", got.Error)
			}
		})
	}
}

// TestAMillionDescriptorsWithoutSocketsDoNotEndAScan opens enough descriptors before the first
// socket that read(2) of an iterator fails with EAGAIN (MAX_ITER_OBJECTS in kernel/bpf/bpf_iter.c).
func TestAMillionDescriptorsWithoutSocketsDoNotEndAScan(t *testing.T) {
	hosttest.Require(t)
	const each, most = 18_000, 1_050_000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < each+1000 {
		t.Skipf("needs %d descriptors: the limit is %d, %v", each, limit.Cur, err)
	}
	fds := make([]int, each)
	for i := range fds {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD, 0) // which children inherit
		if err != nil {
			t.Fatal(err)
		}
		fds[i] = fd
	}
	closeAll := func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
		fds = nil
	}
	defer closeAll()
	last := 0
	for range most / each {
		cmd := exec.Command("cat")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last = cmd.Process.Pid
		t.Cleanup(func() {
			stdin.Close()
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // the error is that it was killed
		})
	}
	closeAll()
	if n := count(t, "/proc/"+strconv.Itoa(last)+"/fd/*"); n < each {
		t.Fatalf("the last process has inherited %d descriptors, want at least %d", n, each)
	}
	after := leaktest.Start(t, "--sockets=3")
	scanner := openTracked(t, scannerKinds[0], scan.Options{})
	if n := scanner.view().held(after.PID); n != 3 {
		t.Errorf("%d sockets, want 3", n)
	}
}
