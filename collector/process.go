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

// addEntry costs the same for any number of sockets, except for a binary search per age bucket.
func (c *Collector) addEntry(s *series, view *closewait.View, e *entry) {
	add := func(m metric, value float64, further ...string) {
		s.add(m, value, slices.Concat(e.labels, further)...)
	}
	add(processSockets, float64(e.Held.Len()))
	for _, unread := range closewait.Unreads {
		add(processUnread, float64(e.Held.Unread[unread]), unread.String())
	}
	for _, service := range topServices(e.Held.Services, c.options.MaxServices) {
		add(processService, float64(service.sockets), service.direction.String(), service.port)
	}
	add(processUnaccepted, float64(e.Unaccepted.Len()))
	if view.AllDefunct || e.Defunct.Len() > 0 { // a lower bound is useful, a wrong 0 is not
		add(processDefunct, float64(e.Defunct.Len()))
	}
	add(processShared, float64(e.Held.Shared))
	add(processKeepalive, float64(e.Held.Keepalive))
	add(processLocalPeer, float64(e.Held.LocalPeer))
	add(processRemotes, float64(e.Held.RemoteAddresses))
	add(processTopRemote, float64(e.Held.TopNetwork.Sockets)/float64(max(e.Held.Len(), 1)))
	add(processRecvQueue, float64(e.Held.UnreadBytes))
	add(processSendQueue, float64(e.Held.SendBytes))
	add(processOldest, e.Oldest(view.Taken).Seconds())
	s.addHistogram(processAge, e.ages(view.Taken, c.options.AgeBuckets), e.labels...)
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

// topServices returns the first n services of a known direction, and the sum of the others by
// direction.
func topServices(services []closewait.Service, n int) []portCount {
	counts := make([]portCount, 0, min(n, len(services))+len(closewait.Directions))
	rest := map[closewait.Direction]int{}
	for _, service := range services {
		if service.Direction == closewait.UnknownDirection || len(counts) >= n {
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
