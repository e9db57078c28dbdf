package diagnose

import (
	"fmt"

	"closewait_exporter/closewait"
)

// overload applies to a process that gets too little processor time, while its connections wait and
// have not waited for long.
func overload(e *evaluation) *Verdict {
	const often, enough, long = 0.3, 0.5, 0.6
	keptWaiting := e.oldest() >= blocked || len(e.queues) > 0 || e.Holder.Unaccepted.Oldest(e.Taken) >= blocked
	throttled, starved := e.CPU.Throttled >= often, e.CPU.Wanted >= enough && e.CPU.Waited >= long
	if !e.CPU.Known || !keptWaiting || e.oldest() >= old || !throttled && !starved {
		return nil
	}
	v := &Verdict{Confidence: Likely, Summary: "It gets too little processor time: this is load, not a leak."}
	if throttled {
		v.Evidence = append(v.Evidence, fmt.Sprintf("Its cgroup used up its CPU quota in %.0f%% of the periods.", 100*e.CPU.Throttled))
		v.Next = fmt.Sprintf("cat /proc/%d/cgroup # then raise cpu.max, or cpu.cfs_quota_us, of its group", e.Holder.ID.PID)
	}
	if starved {
		v.Evidence = append(v.Evidence, fmt.Sprintf("Its threads waited for a processor for %.0f%% of the time that they wanted one.", 100*e.CPU.Waited))
	}
	if v.Next == "" {
		v.Next = "top # which processes use the processors?"
	}
	if e.ended.Len() > 0 {
		v.Evidence = append(v.Evidence, fmt.Sprintf("Its oldest ended socket is only %s old.", seconds(e.oldest())))
	}
	v.Evidence = append(v.Evidence, e.queueEvidence()...)
	return v
}

// outOfDescriptors applies to a process that has used up its descriptors.
func outOfDescriptors(e *evaluation) *Verdict {
	p := &e.Holder.Process
	if ratio, known := p.FDRatio(); !known || ratio < 1 {
		return nil
	}
	return &Verdict{
		Confidence: Sure,
		Summary:    fmt.Sprintf("It has no descriptor left (%d of %d), so that accept() and connect() fail.", p.OpenFDs, p.MaxFDs),
		Evidence:   append(e.leakEvidence(), e.queueEvidence()...),
	}
}

// unconnected applies to a process with many sockets that were never connected.
func unconnected(e *evaluation) *Verdict {
	n := e.Holder.Other.States[closewait.Unconnected]
	if n < closewait.ManyOthers {
		return nil
	}
	return &Verdict{
		Confidence: Likely,
		Summary:    fmt.Sprintf("It holds %s that %s never connected: it does not close them when connect() fails.", count(n, "socket"), is(n)),
		Evidence:   e.threadEvidence(),
	}
}

// peerKeepsOpen applies to a process that has shut down its side of many connections.
func peerKeepsOpen(e *evaluation) *Verdict {
	told := e.shutDown()
	n := len(told)
	if n < closewait.ManyOthers {
		return nil
	}
	return &Verdict{
		Confidence: Likely,
		Summary:    fmt.Sprintf("It has shut down its side of %s, and the peers have not closed theirs.", count(n, "connection")),
		Evidence:   []string{"Peers: " + mostFrequent(told) + "."},
		Next:       fmt.Sprintf("ss -tnop state fin-wait-2 | grep pid=%d,", e.Holder.ID.PID),
	}
}
