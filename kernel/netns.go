package kernel

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// namespace is a network namespace with a directory below /proc through which it can be reached: that
// of a process, or of a thread, which lives in it.
type Namespace struct {
	ID  closewait.NetNS
	Via string
	Own bool // the exporter's own: no need to enter it
}

// ownNamespace is the namespace of this process. It reads the real /proc, since --path.procfs can be
// that of another pid namespace.
func ownNamespace() (Namespace, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		return Namespace{}, fmt.Errorf("find own network namespace: %w", err)
	}
	return Namespace{ID: closewait.NetNS(st.Ino), Via: "self", Own: true}, nil
}

// namespaces finds every network namespace that a process lives in, the own one first. Processes
// move between namespaces without a trace, so each is asked at each scan.
func (s *Scanner) namespaces(pids []int) []Namespace {
	list := []Namespace{s.own}
	if s.options.Namespaces == OwnNamespace {
		return list
	}
	seen := map[closewait.NetNS]bool{s.own.ID: true}
	for _, pid := range pids {
		id, err := s.namespaceOf(pid)
		via := ""
		if Vanished(err) {
			id, via, err = s.namespaceOfThreads(pid)
		}
		if err != nil {
			s.faults.Add(StageNamespace, s.proc.UnlessEnded(strconv.Itoa(pid), err))
			continue
		}
		if !seen[id] {
			seen[id] = true
			list = append(list, Namespace{ID: id, Via: cmp.Or(via, strconv.Itoa(pid))})
		}
	}
	return list
}

// namespacesAmong finds, of the given namespaces, those that some process lives in now.
func (s *Scanner) namespacesAmong(ctx context.Context, wanted []closewait.NetNS) ([]Namespace, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	all, err := s.findNamespaces(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(ns Namespace) bool { return !slices.Contains(wanted, ns.ID) }), nil
}

// findNamespaces lists processes anew, and finds every network namespace that they live in.
func (s *Scanner) findNamespaces(ctx context.Context) ([]Namespace, error) {
	if s.iterator != nil {
		p, err := s.passProcesses(ctx)
		if err != nil {
			return nil, err
		}
		return p.namespaces, nil
	}
	pids, err := s.listPIDs()
	if err != nil {
		return nil, err
	}
	return s.namespaces(pids), nil
}

func (s *Scanner) namespaceOf(pid int) (closewait.NetNS, error) {
	s.path = append(strconv.AppendInt(s.path[:0], int64(pid), 10), "/ns/net\x00"...)
	var target [64]byte
	link, err := s.proc.Link(s.path, target[:])
	if err != nil {
		return 0, err
	}
	return parseNamespace(link)
}

// namespaceOfThreads is for a process whose leader has ended: its own directory has no link then.
func (s *Scanner) namespaceOfThreads(pid int) (id closewait.NetNS, via string, err error) {
	dir, err := s.proc.OpenPID(pid)
	if err != nil {
		return 0, "", err
	}
	defer dir.Close()
	tid, err := s.standIn(dir, pid)
	if err != nil {
		return 0, "", err
	}
	via = fmt.Sprintf("%d/task/%d", pid, tid)
	id, err = ReadNamespace(s.proc, via+"/ns/net")
	return id, via, err
}

// stillLivesIn is errMoved when the process or thread lives elsewhere by now.
func (s *Scanner) stillLivesIn(ns Namespace) error {
	if ns.Own {
		return nil
	}
	id, err := ReadNamespace(s.proc, ns.Via+"/ns/net")
	if Denied(err) && s.iterator != nil {
		id, err = s.askWhere(ns.Via)
	}
	if err == nil && id != ns.ID {
		return errMoved
	}
	return s.proc.UnlessEnded(ns.Via, err)
}

func ReadNamespace(at Directory, path string) (closewait.NetNS, error) {
	var target [64]byte
	link, err := at.Readlink(path, target[:])
	if err != nil {
		return 0, err
	}
	return parseNamespace(link)
}

func parseNamespace(link []byte) (closewait.NetNS, error) {
	id, ok := ParseLink(link, "net")
	if !ok {
		return 0, fmt.Errorf("%w network namespace link %q", ErrMalformed, link)
	}
	return closewait.NetNS(id), nil
}

// errMoved says that the process through which a namespace was to be reached lives elsewhere now: for
// the namespace that is as if it had ended.
var errMoved = fmt.Errorf("process has left the network namespace: %w", unix.ESRCH)

// inNamespaces calls f on a thread that is in each namespace in turn, with the error that kept it
// from entering, if any. The caller's thread stays where it is: the visits have one of their own,
// which ends with them unless it has found its way home.
func inNamespaces(proc Directory, list []Namespace, f func(Namespace, error)) {
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
			if err != nil { // no way back, so do not go
				f(ns, fmt.Errorf("open own network namespace: %w", err))
				continue
			}
			f(ns, proc.UnlessEnded(ns.Via, enter(proc, ns)))
		}
		if err == nil && unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
}

// enter moves the current thread into a namespace (setns(2); needs CAP_SYS_ADMIN in both).
func enter(proc Directory, ns Namespace) error {
	path := ns.Via + "/ns/net"
	fd, err := unix.Openat(int(proc), path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
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
