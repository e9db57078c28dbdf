package host

import (
	"context"
	"fmt"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// InNamespaces calls f for each of the namespaces, on a thread that is in it, or with the error why
// it could not be entered. The thread of the caller stays in its namespace: the calls use another
// thread, which ends afterwards unless it could return to its own namespace.
func (h *Host) InNamespaces(list []Namespace, f func(Namespace, error)) {
	if len(list) == 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(home)
		}
		for _, ns := range list {
			if err != nil { // without a way back the thread must not leave
				f(ns, fmt.Errorf("open own network namespace: %w", err))
				continue
			}
			f(ns, h.Proc.UnlessEnded(ns.Via, h.enter(ns)))
		}
		if err == nil && unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
}

// enter moves the current thread into a namespace (setns(2); needs CAP_SYS_ADMIN in both).
func (h *Host) enter(ns Namespace) error {
	path := ns.Via + "/ns/net"
	fd, err := unix.Openat(int(h.Proc), path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", path, err)
	}
	if closewait.NetNS(st.Ino) != ns.ID {
		return errMoved
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace of process %s: %w", ns.Via, err)
	}
	return nil
}

// InNamespace calls f on a thread in a network namespace, which it enters through any process that
// lives there. It calls f at most once. It fails with ESRCH if no process lives there any more.
func (h *Host) InNamespace(ctx context.Context, id closewait.NetNS, f func() error) error {
	if id == h.OwnNetNS.ID {
		return f()
	}
	pids, err := h.ListPIDs()
	if err != nil {
		return fmt.Errorf("look for network namespace %d: %w", id, err)
	}
	entered, failure := false, fmt.Errorf("network namespace %d has no process left: %w", id, unix.ESRCH)
	h.InNamespaces(h.waysInto(id, pids), func(_ Namespace, err error) {
		switch {
		case entered || ctx.Err() != nil:
		case err == nil:
			entered, failure = true, f()
		case !Vanished(err):
			failure = err
		}
	})
	if !entered && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failure
}

// waysInto finds processes through which a namespace can be entered. It returns several, because
// any of them can end in the meantime. Processes that cannot be read are left out.
func (h *Host) waysInto(id closewait.NetNS, pids []int) []Namespace {
	const enough = 4
	var ways []Namespace
	for _, pid := range pids {
		via := strconv.Itoa(pid)
		ns, err := h.namespaceOf(pid)
		if Vanished(err) {
			ns, via, err = h.namespaceOfThreads(pid)
		}
		if err == nil && ns == id {
			ways = append(ways, Namespace{ID: id, Via: via})
		}
		if len(ways) == enough {
			break
		}
	}
	return ways
}
