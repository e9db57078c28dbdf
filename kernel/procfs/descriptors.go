package procfs

import (
	"context"
	"strconv"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// tableMemory remembers for a minute which processes have threads with descriptor tables of their
// own: comparing the tables of all threads costs more than the rest of a description.
type tableMemory struct {
	of    map[closewait.ProcessID]threadTables
	begun time.Time
}

// threadTables are the threads of a process with descriptor tables of their own.
type threadTables struct {
	links uint64 // of the task directory: two more than there are threads
	tids  []int
}

// tablesRefresh is the time after which tables are compared again. An old thread rarely gets a
// table of its own.
const tablesRefresh = time.Minute

// HasOtherTables reports whether the last description of a process found threads with descriptor
// tables of their own.
func (d *Describer) HasOtherTables(id closewait.ProcessID) bool { return len(d.tables.of[id].tids) > 0 }

// readDescriptors counts the open descriptors in the fullest table of the process: a thread with a
// table of its own fails with EMFILE when that table is full. The limit is the same for all of
// them.
func (d *Describer) readDescriptors(dir host.Directory, p *closewait.Process) (err error) {
	if p.OpenFDs, err = d.countDescriptors(dir, "fd"); err != nil {
		return err
	}
	p.FDsKnown = true
	if host.LeaderEnded(p.State) { // dir is the thread with most descriptors
		return nil
	}
	tids, err := d.otherTables(dir, p.ID)
	for _, tid := range tids {
		n, failed := d.countDescriptors(dir, "task/"+strconv.Itoa(tid)+"/fd")
		if failed != nil && !host.Vanished(failed) {
			err = failed
		}
		p.OpenFDs = max(p.OpenFDs, n)
	}
	return err
}

// otherTables returns the threads of a process with descriptor tables of their own.
func (d *Describer) otherTables(dir host.Directory, id closewait.ProcessID) ([]int, error) {
	if time.Since(d.tables.begun) >= tablesRefresh {
		clear(d.tables.of)
		d.tables.begun = time.Now()
	}
	task, err := dir.Stat("task")
	if err != nil || task.Nlink <= 3 { // ".", ".." and the leader
		return nil, err
	}
	known, remembered := d.tables.of[id]
	if remembered && known.links == uint64(task.Nlink) {
		return known.tids, nil
	}
	threads, err := host.OpenDirectory(dir, "task")
	if err != nil {
		return nil, err
	}
	defer threads.Close()
	known.links = uint64(task.Nlink)
	if known.tids, err = d.host.OtherTables(context.Background(), threads, id.PID, d.entries); err != nil {
		return nil, err
	}
	d.tables.of[id] = known
	return known.tids, nil
}

// countDescriptors counts the entries of a directory of descriptors. Since Linux 6.2 that is its
// size, which needs no privilege.
func (d *Describer) countDescriptors(dir host.Directory, path string) (n uint64, err error) {
	if d.host.FDSizes {
		st, err := dir.Stat(path)
		return uint64(st.Size), err
	}
	fds, err := host.OpenDirectory(dir, path)
	if err != nil {
		return 0, err
	}
	defer fds.Close()
	err = fds.Each(d.entries, func([]byte) { n++ })
	return n, err
}
