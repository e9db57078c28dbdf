package scan

import (
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// bpfDescriptions describes holders, and remembers the descriptions. BPF reports a version of each
// process, which changes when remembered facts may be outdated.
type bpfDescriptions struct {
	describer *procfs.Describer
	iterator  *bpf.Iterator
	refresh   time.Duration // Options.Refresh

	known map[closewait.ProcessID]description // the holders of the last scan
}

// description is an earlier description of a process, with the version that it had.
type description struct {
	closewait.Process
	version     bpf.Version
	at          time.Time
	otherTables bool // threads had descriptor tables of their own
}

// forget forgets all descriptions.
func (d *bpfDescriptions) forget() { d.known = nil }

// describe appends descriptions of holders to a list.
func (d *bpfDescriptions) describe(list []closewait.Process, holders *holderSet, processes *bpfProcesses) ([]closewait.Process, error) {
	before := d.known
	d.known = make(map[closewait.ProcessID]description, len(before))
	return holders.describe(list, func(id closewait.ProcessID) (closewait.Process, error) {
		record, known := processes.of(id)
		if !known {
			p, _, err := d.describer.Describe(id, procfs.Known{})
			return p, err
		}
		return d.describeProcess(id, &record, before[id])
	})
}

// describeProcess describes a process that BPF has listed. Facts that were read before and cannot
// have changed since are not read again.
func (d *bpfDescriptions) describeProcess(id closewait.ProcessID, record *bpf.Process, before description) (closewait.Process, error) {
	known := procfs.Known{NetNS: closewait.NetNS(record.Netns)} // BPF shows it where /proc may not
	if before.version == record.Version && time.Since(before.at) < d.refresh {
		d.known[id] = before
		if p, whole := d.update(before.Process, record); whole && !before.otherTables {
			return p, nil
		}
		known.Before = &before.Process
		p, _, err := d.describer.Describe(id, known)
		return p, err
	}
	p, whole, err := d.describer.Describe(id, known)
	if whole {
		d.known[id] = description{p, record.Version, time.Now(), d.describer.HasOtherTables(id)}
	}
	return p, err
}

// update updates an earlier description from the record of this scan. It is whole if nothing else
// can have changed. BPF counts the descriptors in the table of the leader only.
func (d *bpfDescriptions) update(p closewait.Process, record *bpf.Process) (updated closewait.Process, whole bool) {
	p.Comm, p.State, p.NetNS = record.Command(), record.StateLetter(), closewait.NetNS(record.Netns)
	p.OpenFDs, p.FDsKnown = d.iterator.OpenDescriptors(record)
	return p, p.FDsKnown && !host.LeaderEnded(p.State)
}
