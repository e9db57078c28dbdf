package collector

import (
	"strconv"
	"time"

	"closewait_exporter/closewait"
)

// entry is the source of one set of process series: a process or, without the pid label, all listed
// processes of a group.
type entry struct {
	*closewait.Holder
	labels []string // group, pid and comm, or the group alone
	infos  []info

	topRemoteRatio float64 // the maximum of the processes
}

// info holds the further labels of the info metric: exe, user, unit, container, pod, netns.
type info [6]string

// identity distinguishes entries by their label values as exported. So no two series can have the
// same labels, whatever names processes choose.
type identity struct{ group, pid, comm string }

func (id identity) labels(pidLabel bool) []string {
	if pidLabel {
		return []string{id.group, id.pid, id.comm}
	}
	return []string{id.group}
}

// entries sums holders with the same identity.
func entries(holders []*closewait.Holder, pidLabel bool) []entry {
	members := make(map[identity][]*closewait.Holder, len(holders))
	for _, h := range holders {
		id := identity{group: label(h.Group())}
		if pidLabel {
			id.pid, id.comm = strconv.Itoa(h.ID.PID), label(h.Comm)
		}
		members[id] = append(members[id], h)
	}
	list := make([]entry, 0, len(members))
	for id, same := range members {
		list = append(list, entry{Holder: sum(same), labels: id.labels(pidLabel), infos: infosOf(same), topRemoteRatio: topRemoteRatio(same)})
	}
	return list
}

// ages is the histogram of the ages of the ended and unaccepted sockets.
func (e *entry) ages(now time.Time, bounds []float64) closewait.Histogram {
	all, unaccepted := e.Ended.Ages(now, bounds), e.Unaccepted.Ages(now, bounds)
	for i, n := range unaccepted.Counts {
		all.Counts[i] += n
	}
	all.Count += unaccepted.Count
	all.Sum += unaccepted.Sum
	return all
}

// topRemoteRatio is the largest share that one remote network has of the ended sockets of a
// process.
func topRemoteRatio(holders []*closewait.Holder) (ratio float64) {
	for _, h := range holders {
		ratio = max(ratio, float64(h.Ended.TopNetwork.Sockets)/float64(max(h.Ended.Len(), 1)))
	}
	return ratio
}

// sum sums holders. A socket that several of them hold counts for each, as it would with sum() over
// their series. The start time is the earliest one, and ratios are the largest.
func sum(holders []*closewait.Holder) *closewait.Holder {
	if len(holders) == 1 {
		return holders[0]
	}
	total := &closewait.Holder{}
	total.StartTime, total.FDsKnown = holders[0].StartTime, true
	var ended, unaccepted, other []*closewait.Socket
	for _, h := range holders {
		ended = append(ended, h.Ended.Sockets...)
		unaccepted = append(unaccepted, h.Unaccepted.Sockets...)
		other = append(other, h.Other.Sockets...)
		total.Entered += h.Entered
		total.Left += h.Left
		if h.StartTime.Before(total.StartTime) {
			total.StartTime = h.StartTime
		}
		total.FDsKnown = total.FDsKnown && h.FDsKnown
		total.OpenFDs += h.OpenFDs
		total.Queues.Fullest = closewait.Fuller(total.Queues.Fullest, h.Queues.Fullest)
		total.Queues.Contested += h.Queues.Contested
		total.Ports = closewait.Fuller(total.Ports, h.Ports)
	}
	total.MaxFDs = sumOfLimits(holders)
	total.Ended, total.Unaccepted, total.Other = closewait.NewHolding(ended), closewait.NewHolding(unaccepted), closewait.NewHolding(other)
	return total
}

// sumOfLimits is 0 if one limit is unknown, else unlimited if one is unlimited.
func sumOfLimits(holders []*closewait.Holder) (total uint64) {
	for _, h := range holders {
		switch {
		case h.MaxFDs == 0:
			return 0
		case h.MaxFDs > closewait.UnlimitedFDs-total:
			total = closewait.UnlimitedFDs
		default:
			total += h.MaxFDs
		}
	}
	return total
}

// infosOf returns the distinct sets of info labels.
func infosOf(holders []*closewait.Holder) []info {
	seen := make(map[info]bool, len(holders))
	var infos []info
	for _, h := range holders {
		i := info{
			pathLabel(h.Exe), label(h.User), label(h.Unit), label(h.Container), label(h.Pod),
			strconv.FormatUint(uint64(h.NetNS), 10),
		}
		if !seen[i] {
			seen[i] = true
			infos = append(infos, i)
		}
	}
	return infos
}
