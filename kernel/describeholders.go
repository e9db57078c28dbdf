package kernel

import (
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/procfs"
)

// describeHolders reads the facts of the holders of the sockets. It fails if the exporter itself is out
// of descriptors or memory: a holder without a description would not be listed.
func (s *Scanner) describeHolders() error {
	s.processes = s.processes[:0]
	before := s.described
	s.described = make(map[closewait.ProcessID]description, len(before))
	for id, lives := range s.holders {
		if !lives {
			continue
		}
		p, err := s.describe(id, before[id])
		s.host.Errors.Add(host.StageFacts, err)
		switch {
		case host.OutOfResources(err):
			return err
		case err == nil:
			s.processes = append(s.processes, p)
		}
	}
	return nil
}

// description is an earlier description of a process, with the version by which BPF shows whether it
// still holds.
type description struct {
	closewait.Process
	version bpf.Version
	at      time.Time
}

// describe describes a process. What was read before and cannot have changed since is not read again.
func (s *Scanner) describe(id closewait.ProcessID, before description) (closewait.Process, error) {
	told, resident := s.resident(id)
	if !resident {
		p, _, err := s.describer.Describe(id, procfs.Known{})
		return p, err
	}
	known := procfs.Known{NetNS: closewait.NetNS(told.Netns)} // BPF shows it where /proc may not
	if before.version == told.Version && time.Since(before.at) < s.options.Relook {
		s.described[id] = before
		if p, whole := s.update(before.Process, &told); whole {
			return p, nil
		}
		known.Before = &before.Process
		p, _, err := s.describer.Describe(id, known)
		return p, err
	}
	p, whole, err := s.describer.Describe(id, known)
	if whole {
		s.described[id] = description{p, told.Version, time.Now()}
	}
	return p, err
}

// update brings an earlier description up to date with what BPF has reported in this scan. It is whole
// if nothing else can have changed.
func (s *Scanner) update(p closewait.Process, told *bpf.Process) (updated closewait.Process, whole bool) {
	p.Comm, p.State, p.NetNS = told.Command(), told.StateLetter(), closewait.NetNS(told.Netns)
	p.OpenFDs, p.FDsKnown = s.iterator.OpenDescriptors(told)
	return p, p.FDsKnown && !host.LeaderEnded(p.State)
}
