package fdscan

import (
	"context"

	"closewait_exporter/kernel/host"
)

// Find returns, by inode, one descriptor of a process for each of the given sockets that it holds.
// process is the directory of the process, and pid is its pid.
func Find(ctx context.Context, h *host.Host, process host.Directory, pid int, inodes []uint64) (map[uint64]Handle, error) {
	wanted := make([]InodeIndex, len(inodes))
	missing := make(map[uint64]bool, len(inodes))
	for i, inode := range inodes {
		wanted[i], missing[inode] = NewInodeIndex(inode, i), true
	}
	found := make(map[uint64]Handle, len(missing))
	r := newTableReader(h, newInodeFilter(wanted))
	collect := func() {
		for i, inode := range r.inodes {
			if missing[inode] {
				found[inode] = r.handles[i]
			}
		}
		r.reset()
	}
	err := r.readTable(process, 0)
	collect()
	if err == nil && len(found) < len(missing) {
		err = r.readOtherTables(ctx, process, pid)
		collect()
	}
	if err != nil {
		return nil, process.UnlessEnded(".", err)
	}
	return found, nil
}
