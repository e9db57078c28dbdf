package kernel

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// findings are the sockets that a process holds, one for each descriptor: indices in owners.known.
type findings struct {
	holder  closewait.ProcessID
	sockets []int
}

// walk is one look into the descriptors of all processes.
type walk struct {
	scanner *Scanner
	wanted  map[uint64]int // owners.byInode; only read

	mu     sync.Mutex
	found  []findings
	denied int // processes that may not be looked into
	failed int // processes that could not be looked into for another reason
}

// walkProcesses looks for the holders of the sockets of s.owners. It has to look at every descriptor
// of every process, because a socket can have several holders. Up to Options.Workers processes
// are looked into at the same time.
func (s *Scanner) walkProcesses(ctx context.Context, pids []int) (*walk, error) {
	w := &walk{scanner: s, wanted: s.owners.byInode}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range s.options.Workers {
		workers.Go(func() {
			v := &visit{walk: w, entries: make([]byte, 32<<10), data: make([]byte, 0, 1024)}
			for i := next.Add(1) - 1; i < int64(len(pids)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				w.take(v.process(pids[i]))
			}
		})
	}
	workers.Wait()
	return w, ctx.Err()
}

// take adds what a visit has found.
func (w *walk) take(found findings, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && len(found.sockets) > 0 {
		w.found = append(w.found, found)
	}
	switch {
	case err == nil || vanished(err):
	case denied(err):
		w.denied++
	default:
		w.failed++
	}
	w.scanner.faults.add(stageOwners, err)
}

// visit looks into one process after the other, with the same buffers.
type visit struct {
	*walk
	entries []byte
	data    []byte
	target  [64]byte
	sockets []int // wanted ones of the current process
}

// process looks into the descriptor tables of a process: as a rule one, that all its threads share.
func (v *visit) process(pid int) (findings, error) {
	dir, err := v.scanner.proc.openProcess(pid)
	if err != nil {
		return findings{}, err
	}
	defer dir.close()
	v.sockets = v.sockets[:0]
	if err := v.table(dir, "fd"); err != nil {
		return findings{}, err
	}
	if err := v.otherTables(dir, pid); err != nil && !vanished(err) {
		return findings{}, err
	}
	if len(v.sockets) == 0 {
		return findings{}, nil
	}
	id, err := v.identify(dir, pid)
	return findings{id, slices.Clone(v.sockets)}, err
}

// table looks for wanted sockets in a directory of descriptors.
func (v *visit) table(dir directory, path string) error {
	fds, err := openDirectory(dir, path)
	if err != nil {
		return err
	}
	defer fds.close()
	return fds.each(v.entries, func(name []byte) {
		link, err := fds.link(name, v.target[:])
		if err != nil {
			return // closed meanwhile
		}
		if inode, ok := bracketed(link, "socket"); ok {
			if socket, wanted := v.wanted[inode]; wanted {
				v.sockets = append(v.sockets, socket)
			}
		}
	})
}

// otherTables looks into the tables of threads that do not share that of the leader: a thread can
// unshare its table (CLONE_FILES), and a leader that has exited while others live has none.
func (v *visit) otherTables(dir directory, pid int) error {
	task, err := dir.stat("task")
	if err != nil {
		return err
	}
	if task.Nlink <= 3 { // ".", ".." and the leader
		return nil
	}
	threads, err := openDirectory(dir, "task")
	if err != nil {
		return err
	}
	defer threads.close()
	tids, err := threads.numbers(v.entries)
	if err != nil {
		return err
	}
	tables := []int{pid}
	for _, tid := range tids {
		if tid == pid || v.scanner.sharesTable(threads, tid, tables) {
			continue
		}
		tables = append(tables, tid)
		if err := v.table(threads, strconv.Itoa(tid)+"/fd"); err != nil && !vanished(err) {
			return err
		}
	}
	return nil
}

// identify reads the start time through the open directory, so that it is that of the process
// whose descriptors were read.
func (v *visit) identify(dir directory, pid int) (closewait.ProcessID, error) {
	var err error
	if v.data, err = dir.read("stat", v.data); err != nil {
		return closewait.ProcessID{}, err
	}
	st, err := parseStat(v.data)
	if err != nil {
		return closewait.ProcessID{}, fmt.Errorf("stat of process %d: %w", pid, err)
	}
	return closewait.ProcessID{PID: pid, Start: st.start}, nil
}

// sharesTable tells whether a thread has the same descriptor table as one of the others. kcmp(2)
// knows; where it may not be asked, tables of the same size are taken for the same one.
func (s *Scanner) sharesTable(threads directory, tid int, others []int) bool {
	const kcmpFiles = 2 // include/uapi/linux/kcmp.h
	for _, other := range others {
		if s.pidsAreOurs {
			order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(tid), uintptr(other), kcmpFiles, 0, 0, 0)
			if errno == 0 || errno == unix.ESRCH {
				if order == 0 || errno != 0 {
					return true // the same, or ended meanwhile
				}
				continue
			}
		}
		a, errA := threads.stat(strconv.Itoa(tid) + "/fd")
		b, errB := threads.stat(strconv.Itoa(other) + "/fd")
		if errA != nil || errB != nil || a.Size == b.Size {
			return true
		}
	}
	return false
}
