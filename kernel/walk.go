package kernel

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
)

// walk is one look into the descriptors of all processes.
type Walk struct {
	scanner *Scanner
	pids    []int
	wanted  inodeFilter           // for the sockets that are looked for
	ids     []closewait.ProcessID // of those that hold wanted sockets, by their index in pids

	mu             sync.Mutex
	descriptors    []Descriptor // of wanted sockets; those of a process stand together
	found          []InodeIndex // the sockets of them, with indices in descriptors
	Unread         []int        // processes that could not be looked into, as a rule because that is not permitted
	OutOfResources int          // of them, those for which descriptors or memory of our own were short

	lists map[string]*[]closewait.ProcessID // of holders; sockets with the same ones share a list
}

// openSocket is a descriptor of a wanted socket.
type Descriptor struct {
	holder int32 // index in walk.pids
	Handle
}

// walkProcesses finds all descriptors of the wanted sockets. It has to look at every descriptor of every
// process, because a socket can have several holders. Up to Options.Workers processes are looked into
// at the same time.
func (s *Scanner) walkProcesses(ctx context.Context, pids []int, wanted ...[]InodeIndex) (*Walk, error) {
	sockets := 0
	for _, list := range wanted {
		sockets += len(list)
	}
	w := &Walk{
		scanner: s, pids: pids, wanted: newInodeFilter(wanted...), ids: make([]closewait.ProcessID, len(pids)), lists: map[string]*[]closewait.ProcessID{},
		found: make([]InodeIndex, 0, sockets), descriptors: make([]Descriptor, 0, sockets), // as a rule each has one
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range s.options.Workers {
		workers.Go(func() {
			v := &tableReader{Walk: w, entries: make([]byte, 32<<10), data: make([]byte, 0, 1024)}
			for i := next.Add(1) - 1; i < int64(len(pids)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				v.process(int(i))
			}
		})
	}
	workers.Wait()
	return w, ctx.Err()
}

// take adds what the visit of a process has found. It can both have found something and failed.
func (w *Walk) take(index int, inodes []uint64, handles []Handle, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, inode := range inodes {
		w.found = append(w.found, NewInodeIndex(inode, len(w.descriptors)))
		w.descriptors = append(w.descriptors, Descriptor{int32(index), handles[i]})
	}
	if err == nil || Vanished(err) {
		return
	}
	w.scanner.faults.Add(StageOwners, err)
	w.Unread = append(w.Unread, w.pids[index])
	if OutOfResources(err) {
		w.OutOfResources++
	}
}

// visit looks into one process after the other, with the same buffers.
type tableReader struct {
	*Walk
	entries []byte
	data    []byte
	target  [64]byte
	inodes  []uint64 // of the wanted sockets of the current process
	handles []Handle // where it has them
}

// process looks into the descriptor tables of a process.
func (v *tableReader) process(index int) {
	v.inodes, v.handles = v.inodes[:0], v.handles[:0]
	pid := v.pids[index]
	dir, err := v.scanner.proc.OpenPID(pid)
	if err != nil {
		v.take(index, nil, nil, err)
		return
	}
	defer dir.Close()
	err = dir.UnlessEnded(".", v.tables(dir, pid))
	if len(v.inodes) > 0 {
		id, unknown := v.identify(dir, pid)
		if unknown != nil {
			v.take(index, nil, nil, unknown)
			return
		}
		v.ids[index] = id
	}
	v.take(index, v.inodes, v.handles, err)
}

// tables looks into all tables: as a rule one, that all threads share.
func (v *tableReader) tables(dir Directory, pid int) error {
	if err := v.table(dir, 0); err != nil {
		return err
	}
	return v.otherTables(dir, pid)
}

// table finds the wanted sockets in the table of a thread, or of the main one where thread is 0. Who may
// list it, which is a matter of file permissions, may still not read the links in it, which takes
// the right to trace the process.
func (v *tableReader) table(dir Directory, thread int) error {
	path := "fd"
	if thread != 0 {
		path = strconv.Itoa(thread) + "/fd"
	}
	fds, err := OpenDirectory(dir, path)
	if err != nil {
		return err
	}
	defer fds.Close()
	var refused error
	err = fds.listDescriptors(v.entries, func(name []byte) (open bool) {
		if refused != nil {
			return true
		}
		link, err := fds.Link(name, v.target[:])
		if err != nil {
			if !Vanished(err) {
				refused = fmt.Errorf("read links in %s: %w", path, err)
			}
			return false
		}
		if inode, ok := ParseLink(link, "socket"); ok && v.wanted.mayHold(inode) {
			number, _ := ParseNumber(name)
			v.inodes = append(v.inodes, inode)
			v.handles = append(v.handles, Handle{int32(thread), int32(number)})
		}
		return true
	})
	return cmp.Or(err, refused)
}

// otherTables looks into the tables of threads that do not share that of the leader: a thread can
// unshare its table (CLONE_FILES), and a leader that has exited while others live has none.
func (v *tableReader) otherTables(dir Directory, pid int) error {
	if others, err := hasOtherThreads(dir); err != nil || !others {
		return err
	}
	threads, err := OpenDirectory(dir, "task")
	if err != nil {
		return err
	}
	defer threads.Close()
	tids, err := threads.Numbers(v.entries)
	if err != nil {
		return err
	}
	tables := []int{pid}
	for _, tid := range tids {
		if tid == pid || v.scanner.sharesTable(threads, tid, tables) {
			continue
		}
		tables = append(tables, tid)
		if failed := threads.UnlessEnded(strconv.Itoa(tid), v.table(threads, tid)); failed != nil && !Vanished(failed) {
			err = failed
		}
	}
	return err
}

// identify reads the start time through the open directory, so that it is that of the process
// whose descriptors were read.
func (v *tableReader) identify(dir Directory, pid int) (closewait.ProcessID, error) {
	var err error
	if v.data, err = dir.Read("stat", v.data); err != nil {
		return closewait.ProcessID{}, err
	}
	st, err := ParseStat(v.data)
	if err != nil {
		return closewait.ProcessID{}, fmt.Errorf("stat of process %d: %w", pid, err)
	}
	return closewait.ProcessID{PID: pid, Start: st.Start}, nil
}

// sharesTable tells whether a thread has the same descriptor table as one of the others. kcmp(2)
// knows; where it may not be asked, tables of the same size are taken for the same one.
func (s *Scanner) sharesTable(threads Directory, tid int, others []int) bool {
	const kcmpFiles = 2 // include/uapi/linux/kcmp.h
	for _, other := range others {
		if s.pidsAreOurs {
			order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(tid), uintptr(other), kcmpFiles, 0, 0, 0)
			if errno == 0 && order == 0 {
				return true
			}
			if errno == 0 || errno == unix.ESRCH { // one of the two has ended, perhaps not this one
				continue
			}
		}
		a, errA := threads.Stat(strconv.Itoa(tid) + "/fd")
		b, errB := threads.Stat(strconv.Itoa(other) + "/fd")
		if errA != nil || errB != nil || a.Size == b.Size {
			return true
		}
	}
	return false
}
