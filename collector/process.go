package collector

import (
	"math"
	"slices"
	"strconv"

	"closewait_exporter/closewait"
)

func (c *Collector) addProcesses(s *series, view *closewait.View) {
	listed := closewait.Listed(view, c.options.MinAge)
	room := min(c.options.MaxProcesses, len(listed))
	shown, omitted := listed[:room], listed[room:]
	s.add(processesOmitted, float64(len(omitted)))
	s.add(socketsOmitted, float64(omittedSockets(shown, omitted)))
	for _, e := range entries(shown, c.options.PIDLabel) {
		c.addEntry(s, view, &e)
	}
}

// addEntry costs the same for any number of sockets, except for a binary search per age bucket, and
// a check of each socket on which something has moved since its end.
func (c *Collector) addEntry(s *series, view *closewait.View, e *entry) {
	add := func(m metric, value float64, further ...string) {
		s.add(m, value, slices.Concat(e.labels, further)...)
	}
	addStates := func(m metric, holding *closewait.Holding, states []closewait.State) {
		for _, state := range states {
			n := holding.States[state]
			if n > 0 || view.Complete.Has(state) { // a lower bound is useful, a wrong 0 is not
				add(m, float64(n), state.String())
			}
		}
	}
	addStates(processSockets, &e.Ended, closewait.EndedStates)
	addStates(processOther, &e.Other, closewait.OtherStates)
	unknown := e.Ended.States[closewait.CloseWait] // of these, what is unread is not known: MPTCP
	for _, n := range e.Ended.Unread {
		unknown -= n
	}
	for _, unread := range closewait.Unreads {
		if n := e.Ended.Unread[unread]; n > 0 || unknown == 0 {
			add(processUnread, float64(n), unread.String())
		}
	}
	for _, service := range topServices(e.Ended.Services, c.options.MaxServices) {
		add(processService, float64(service.sockets), service.direction.String(), service.port)
	}
	unaccepted, _ := e.UnacceptedCount()
	add(processUnaccepted, float64(unaccepted))
	if ratio, known := e.Ports.Ratio(); known {
		add(processPorts, ratio)
	}
	if ratio, known := e.Queues.Fullest.Ratio(); known {
		add(processAcceptQueue, ratio)
	}
	add(processShared, float64(e.Ended.Shared))
	add(processKeepalive, float64(e.Ended.Keepalive))
	add(processLocalPeer, float64(e.Ended.LocalPeer))
	add(processRemotes, float64(e.Ended.RemoteAddresses))
	add(processTopRemote, e.topRemoteRatio)
	add(processRecvQueue, float64(e.Ended.UnreadBytes))
	add(processSendQueue, float64(e.Ended.SendBytes))
	add(processOldest, e.Oldest(view.Taken).Seconds())
	s.addHistogram(processAge, e.ages(view.Taken, c.options.AgeBuckets), e.labels...)
	add(processOld, float64(e.Ended.Older(c.options.OldAge, view.Taken)))
	add(processActive, float64(e.Ended.Active(c.options.OldAge, view.Taken)))
	add(processEntered, float64(e.Entered))
	add(processLeft, float64(e.Left))
	if e.FDsKnown {
		add(processOpenFDs, float64(e.OpenFDs))
	}
	switch e.MaxFDs {
	case 0: // could not be read
	case closewait.UnlimitedFDs:
		add(processMaxFDs, math.Inf(1))
	default:
		add(processMaxFDs, float64(e.MaxFDs))
	}
	add(processStart, float64(e.StartTime.UnixMilli())/1000)
	for _, i := range e.infos {
		add(processInfo, 1, i[:]...)
	}
}

// otherPorts is the port label of the services without their own series.
const otherPorts = "other"

// portCount is a service as it is exported.
type portCount struct {
	direction closewait.Direction
	port      string
	sockets   int
}

// topServices returns the first n services that have a port, and the sum of the others by
// direction.
func topServices(services []closewait.Service, n int) []portCount {
	counts := make([]portCount, 0, min(n, len(services))+len(closewait.Directions))
	rest := map[closewait.Direction]int{}
	for _, service := range services {
		if service.Port == 0 || len(counts) >= n {
			rest[service.Direction] += service.Sockets
			continue
		}
		counts = append(counts, portCount{service.Direction, strconv.Itoa(int(service.Port)), service.Sockets})
	}
	for _, direction := range closewait.Directions {
		if rest[direction] > 0 {
			counts = append(counts, portCount{direction, otherPorts, rest[direction]})
		}
	}
	return counts
}
