package scan

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/bpf"
	"closewait_exporter/kernel/host"
)

// bpfProcesses are the processes of the host, as BPF lists them in one scan.
type bpfProcesses struct {
	pids       []int                    // ascending
	namespaces []host.Namespace         // in which a process lives, the own one first
	in         map[closewait.NetNS]bool // these namespaces, and those in which sockets were found
	byPID      map[int]bpf.Process

	allNamespaces bool
}

// listProcesses lists all processes and the network namespaces in which they live. The pids are
// in the memory of the given slice if it is large enough.
func (s *ebpfScanner) listProcesses(ctx context.Context, pids []int) (*bpfProcesses, error) {
	p := &bpfProcesses{
		pids:       pids[:0],
		namespaces: []host.Namespace{s.host.OwnNetNS}, in: map[closewait.NetNS]bool{s.host.OwnNetNS.ID: true},
		byPID: map[int]bpf.Process{}, allNamespaces: s.options.allNamespaces(),
	}
	malformed, err := s.iterator.Processes(ctx, p.add)
	if err != nil {
		s.host.Errors.Add(host.StageProcesses, err)
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, err := range malformed {
		s.host.Errors.Add(host.StageProcesses, err)
	}
	slices.Sort(p.pids)
	p.pids = slices.Compact(p.pids)
	return p, nil
}

func (p *bpfProcesses) add(record *bpf.Process) {
	pid, ns := int(record.Pid), closewait.NetNS(record.Netns)
	p.pids = append(p.pids, pid)
	if ns == 0 { // it is ending, or its leader has ended
		return
	}
	if _, known := p.byPID[pid]; !known || record.Thread == record.Pid { // threads can come first
		p.byPID[pid] = *record
	}
	if !p.in[ns] && p.allNamespaces {
		p.in[ns] = true
		p.namespaces = append(p.namespaces, host.Namespace{ID: ns, Via: viaOf(record)})
	}
}

// of returns the record of a process.
func (p *bpfProcesses) of(id closewait.ProcessID) (record bpf.Process, known bool) {
	record, known = p.byPID[id.PID]
	return record, known && startOf(record.Start) == id.Start
}

// readable returns the namespaces without those that could not be read.
func (p *bpfProcesses) readable(unread []closewait.NetNS) []closewait.NetNS {
	var list []closewait.NetNS
	for id := range p.in {
		if !slices.Contains(unread, id) {
			list = append(list, id)
		}
	}
	return list
}

// viaOf returns the directory below /proc of the process or thread of a record.
func viaOf(record *bpf.Process) string {
	if record.Thread == record.Pid {
		return strconv.Itoa(int(record.Pid))
	}
	return fmt.Sprintf("%d/task/%d", record.Pid, record.Thread)
}

// findNamespaces lists the processes again and returns the network namespaces in which they live.
func (s *ebpfScanner) findNamespaces(ctx context.Context) ([]host.Namespace, error) {
	p, err := s.listProcesses(ctx, nil)
	if err != nil {
		return nil, err
	}
	return p.namespaces, nil
}

// namespaceOf asks BPF for the network namespace of a process or thread. /proc shows it only to
// programs that may trace the process.
func (s *ebpfScanner) namespaceOf(via string) (ns closewait.NetNS, err error) {
	_, err = s.iterator.Processes(context.Background(), func(record *bpf.Process) {
		if viaOf(record) == via {
			ns = closewait.NetNS(record.Netns)
		}
	})
	return ns, err
}
