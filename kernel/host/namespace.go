package host

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// Namespace is a network namespace, with the directory of a process or thread that lives in it.
type Namespace struct {
	ID  closewait.NetNS
	Via string // directory of the process or thread, relative to Host.Proc
	Own bool   // this process lives in it, so it need not be entered
}

// ownNamespace returns the namespace of this process. It reads /proc instead of --path.procfs,
// which may show another pid namespace.
func ownNamespace() (Namespace, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		return Namespace{}, fmt.Errorf("find own network namespace: %w", err)
	}
	return Namespace{ID: closewait.NetNS(st.Ino), Via: "self", Own: true}, nil
}

// Namespaces finds the network namespaces in which the processes live. It always returns the
// namespace of this process, and returns it first. A process can move between namespaces at any
// time, so all processes are read at each call.
func (h *Host) Namespaces(pids []int) []Namespace {
	list := []Namespace{h.OwnNetNS}
	seen := map[closewait.NetNS]bool{h.OwnNetNS.ID: true}
	for _, pid := range pids {
		id, err := h.namespaceOf(pid)
		via := ""
		if Vanished(err) {
			id, via, err = h.namespaceOfThreads(pid)
		}
		if err != nil {
			h.Errors.Add(StageNamespace, h.Proc.UnlessEnded(strconv.Itoa(pid), err))
			continue
		}
		if !seen[id] {
			seen[id] = true
			if via == "" {
				via = strconv.Itoa(pid)
			}
			list = append(list, Namespace{ID: id, Via: via})
		}
	}
	return list
}

// namespaceOf returns the network namespace of a process. It allocates nothing, because every scan
// calls it for every process.
func (h *Host) namespaceOf(pid int) (closewait.NetNS, error) {
	var path, target [64]byte
	name := append(strconv.AppendInt(path[:0], int64(pid), 10), "/ns/net\x00"...)
	link, err := h.Proc.Link(name, target[:])
	if err != nil {
		return 0, err
	}
	return parseNamespace(link)
}

// namespaceOfThreads returns the network namespace of a process whose leader has ended, and the
// directory of one of its threads. The directory of such a process has no link to a namespace.
func (h *Host) namespaceOfThreads(pid int) (id closewait.NetNS, via string, err error) {
	dir, err := h.Proc.OpenPID(pid)
	if err != nil {
		return 0, "", err
	}
	defer dir.Close()
	tid, err := standIn(dir, pid)
	if err != nil {
		return 0, "", err
	}
	via = fmt.Sprintf("%d/task/%d", pid, tid)
	id, err = ReadNamespace(h.Proc, via)
	return id, via, err
}

// ReadNamespace returns the network namespace of a process or thread, whose directory is given
// relative to another one.
func ReadNamespace(at Directory, process string) (closewait.NetNS, error) {
	var target [64]byte
	link, err := at.Readlink(process+"/ns/net", target[:])
	if err != nil {
		return 0, err
	}
	return parseNamespace(link)
}

func parseNamespace(link []byte) (closewait.NetNS, error) {
	id, ok := ParseLink(link, "net")
	if !ok {
		return 0, fmt.Errorf("%w network namespace link %q", ErrMalformed, string(link))
	}
	return closewait.NetNS(id), nil
}

// errMoved reports that the process through which a namespace should be entered or read lives in
// another one now. It wraps ESRCH, because callers handle it like the end of the process.
var errMoved = fmt.Errorf("process has left the network namespace: %w", unix.ESRCH)

// StillIn returns nil if the process or thread of a namespace still lives in it. Where /proc denies
// reading its namespace, StillIn calls ask, unless that is nil.
func (h *Host) StillIn(ns Namespace, ask func(via string) (closewait.NetNS, error)) error {
	if ns.Own {
		return nil
	}
	id, err := ReadNamespace(h.Proc, ns.Via)
	if Denied(err) && ask != nil {
		id, err = ask(ns.Via)
	}
	if err == nil && id != ns.ID {
		return errMoved
	}
	return h.Proc.UnlessEnded(ns.Via, err)
}
