package action

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

// ownProc runs a command in a mount namespace with its own mount of /proc, as in a container.
const ownProc = "mount -t proc proc /proc && exec "

// lockAndWait locks the lock file and holds it.
const lockAndWait = "flock --no-fork /proc/" + lockFile + " sleep 1000"

func TestOnlyOneProcessHasTheHostLock(t *testing.T) {
	e := newExecutor(t)
	first, err := e.Lock()
	if err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Lock()
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d (%s)", os.Getpid(), strings.TrimSpace(string(comm)))) {
		t.Errorf("a second lock: %v, want %v by this process", err, ErrLocked)
	}
	first.Release()
	again, err := e.Lock()
	if err != nil {
		t.Fatalf("after it was released: %v", err)
	}
	again.Release()
}

func TestTheHostLockEndsWithItsProcess(t *testing.T) {
	for name, command := range map[string][]string{
		"on the host":                             {"sh", "-c", "exec " + lockAndWait},
		"in a container with the host's pids":     {"unshare", "-m", "-n", "sh", "-c", ownProc + lockAndWait},
		"as a user with CAP_DAC_READ_SEARCH only": asUser("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search", "sh", "-c", "exec "+lockAndWait),
	} {
		t.Run(name, func(t *testing.T) {
			e := newExecutor(t)
			holder := start(t, nil, command[0], command[1:]...)
			leaktest.Eventually(t, soon, func() (bool, string) {
				err := tryLock(e)
				who := fmt.Sprintf("process %d (sleep)", holder.Process.Pid)
				return errors.Is(err, ErrLocked) && strings.Contains(err.Error(), who), fmt.Sprint(err)
			})
			if err := holder.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			leaktest.Eventually(t, soon, func() (bool, string) {
				err := tryLock(e)
				return err == nil, fmt.Sprint(err)
			})
		})
	}
}

// TestUsersCannotHoldTheHostLock tries the ways in which a user without privileges, and root in a
// container, could keep the reaper from acting.
func TestUsersCannotHoldTheHostLock(t *testing.T) {
	namespaceFile := "flock --no-fork /proc/self/ns/pid sleep 1000"
	for name, c := range map[string]struct {
		command []string
		locks   bool // it holds the lock that it wants
	}{
		"a user":                                {asUser("sh", "-c", "exec "+lockAndWait), false},
		"a user who locks the pid namespace":    {asUser("sh", "-c", "exec "+namespaceFile), true},
		"root in a user namespace":              {asUser("unshare", "-Ur", "sh", "-c", "exec "+lockAndWait), false},
		"root in a user namespace, own /proc":   {asUser("unshare", "-Urmpf", "sh", "-c", ownProc+lockAndWait), false},
		"root in a container with its own pids": {[]string{"unshare", "-mpf", "sh", "-c", ownProc + lockAndWait}, true},
		"root without capabilities in a container with the host's pids": {
			[]string{"unshare", "-m", "-n", "sh", "-c", "mount -t proc proc /proc && exec setpriv --inh-caps=-all --bounding-set=-all " + lockAndWait}, true,
		},
		"root in a user namespace in a container with the host's pids": {
			[]string{"unshare", "-m", "-n", "sh", "-c", "mount -t proc proc /proc && exec unshare -Ur " + lockAndWait}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExecutor(t)
			cmd := exec.Command(c.command[0], c.command[1:]...)
			if !c.locks {
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
					t.Errorf("it can open the file: %v, %s", err, out)
				}
			} else {
				start(t, nil, c.command[0], c.command[1:]...)
				leaktest.Eventually(t, soon, func() (bool, string) {
					locks, err := os.ReadFile("/proc/locks")
					return strings.Contains(string(locks), "FLOCK"), fmt.Sprint(err)
				})
			}
			if err := tryLock(e); err != nil {
				t.Errorf("it keeps the reaper from acting: %v", err)
			}
		})
	}
}

// asUser runs a command as a user without privileges; options of setpriv can come first.
func asUser(command ...string) []string {
	return append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, command...)
}

func tryLock(e *Executor) error {
	lock, err := e.Lock()
	if err == nil {
		lock.Release()
	}
	return err
}

func TestLocksOfOtherFilesAreNotTheHostLock(t *testing.T) {
	for line, want := range map[string]bool{
		"1: FLOCK  ADVISORY  WRITE 11031 00:15:4026531929 0 EOF":    true,
		"1: -> FLOCK  ADVISORY  WRITE 11031 00:15:4026531929 0 EOF": false,
		"1: POSIX  ADVISORY  WRITE 11031 00:15:4026531929 0 EOF":    false,
		"1: FLOCK  ADVISORY  WRITE 11031 4026531929 0 EOF":          false,
		"1: FLOCK  ADVISORY  WRITE none 00:15:4026531929 0 EOF":     false,
		"": false,
	} {
		if l, ok := parseLock(line); ok != want || ok && l != (heldLock{11031, "00:15", 4026531929}) {
			t.Errorf("%q is %+v, %v", line, l, ok)
		}
	}
	const mounts = "" +
		"21 1 254:0 / / rw,relatime - ext4 /dev/root rw\n" +
		"22 21 0:21 / /proc rw shared:3 master:1 - proc proc rw\n" +
		"23 21 0:80 / /home/u/\\040-\\040proc rw - fuse.x -\\040proc rw\n" +
		"bad line\n"
	for device, want := range map[string]bool{"00:15": true, "00:50": false, "fe:00": false, "00:16": false} {
		if hasProcMount([]byte(mounts), device) != want {
			t.Errorf("device %s is not %v", device, want)
		}
	}
}

// TestTwoReapersThatStartTogetherNeverBothAct has a second mount of /proc, as a container has.
func TestTwoReapersThatStartTogetherNeverBothAct(t *testing.T) {
	leaktest.RequireRoot(t)
	container, err := host.Open(kerneltest.MountProc(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(container.Close)
	second, err := New(container, Options{})
	if err != nil {
		t.Fatal(err)
	}
	reapers := []*Executor{newExecutor(t), second}
	acquired := 0
	for range 300 {
		locks := make([]*HostLock, len(reapers))
		var attempts sync.WaitGroup
		for i, e := range reapers {
			attempts.Go(func() { locks[i], _ = e.Lock() })
		}
		attempts.Wait()
		if locks[0] != nil && locks[1] != nil {
			t.Fatal("both have the host lock")
		}
		for _, lock := range locks {
			if lock != nil {
				acquired++
				lock.Release()
			}
		}
	}
	if acquired == 0 {
		t.Error("they keep each other from acting all the time")
	}
	t.Logf("%d of 300 times one of them has acquired the lock", acquired)
}
