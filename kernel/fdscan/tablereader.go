package fdscan

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"closewait_exporter/kernel/host"
)

// tableReader reads the descriptor tables of processes, one process at a time, and reuses its
// buffers.
type tableReader struct {
	host    *host.Host
	wanted  inodeFilter
	entries []byte
	target  [64]byte

	// Sockets of the current process that wanted accepts: their inodes, and where each descriptor is.
	inodes  []uint64
	handles []Handle
	rings   []Handle // descriptors of the current process that are rings of io_uring
}

func newTableReader(h *host.Host, wanted inodeFilter) *tableReader {
	return &tableReader{host: h, wanted: wanted, entries: make([]byte, host.EntriesSize)}
}

// reset forgets what was found.
func (r *tableReader) reset() {
	r.inodes, r.handles, r.rings = r.inodes[:0], r.handles[:0], r.rings[:0]
}

// readTables reads all tables of a process: usually one, which all threads share, and those of
// io_uring last, so that a descriptor is found first.
func (r *tableReader) readTables(ctx context.Context, process host.Directory, pid int) error {
	if err := r.readTable(process, 0); err != nil {
		return err
	}
	err := r.readOtherTables(ctx, process, pid)
	return cmp.Or(err, r.readRings(process))
}

// readTable finds the wanted sockets in the table of a thread. If thread is 0, dir is the directory
// of the process and the table is the table of its leader; otherwise dir is its task directory.
// Listing a table only takes permission on the directory; reading its links takes the right to
// trace the process, so it can fail alone.
func (r *tableReader) readTable(dir host.Directory, thread int) error {
	path := "fd"
	if thread != 0 {
		path = strconv.Itoa(thread) + "/fd"
	}
	fds, err := host.OpenDirectory(dir, path)
	if err != nil {
		return err
	}
	defer fds.Close()
	var refused error
	err = listDescriptors(fds, r.entries, func(name []byte) (open bool) {
		if refused != nil {
			return true // counts as open, so that listDescriptors ends sooner
		}
		link, err := fds.Link(name, r.target[:])
		if err != nil {
			if !host.Vanished(err) {
				refused = fmt.Errorf("read links in %s: %w", path, err)
			}
			return false
		}
		switch inode, ok := host.ParseLink(link, "socket"); {
		case ok && r.wanted.mayContain(inode):
			r.inodes = append(r.inodes, inode)
			r.handles = append(r.handles, handleOf(thread, name))
		case !ok && string(link) == ringLink:
			r.rings = append(r.rings, handleOf(thread, name))
		}
		return true
	})
	return cmp.Or(err, refused)
}

// handleOf returns the handle of an entry in the table of a thread.
func handleOf(thread int, name []byte) Handle {
	number, _ := host.ParseNumber(name)
	return Handle{int32(thread), int32(number)}
}

// readOtherTables reads the tables of threads that do not share the table of the leader: a thread
// can unshare its table (CLONE_FILES), and a leader that has ended before other threads has none.
func (r *tableReader) readOtherTables(ctx context.Context, process host.Directory, pid int) error {
	if others, err := host.HasOtherThreads(process); err != nil || !others {
		return err
	}
	threads, err := host.OpenDirectory(process, "task")
	if err != nil {
		return err
	}
	defer threads.Close()
	tids, err := r.host.OtherTables(ctx, threads, pid, r.entries)
	for _, tid := range tids {
		if failed := threads.UnlessEnded(strconv.Itoa(tid), r.readTable(threads, tid)); failed != nil && !host.Vanished(failed) {
			err = failed
		}
	}
	return err
}
