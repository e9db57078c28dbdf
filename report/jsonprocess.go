package report

import (
	"time"

	"closewait_exporter/closewait"
)

// maxServices is the maximum number of services of a process. Each peer port of a scan can be one.
const maxServices = 100

type jsonProcess struct {
	Group         untrusted         `json:"group"`
	PID           int               `json:"pid"`
	StartTime     time.Time         `json:"start_time"`
	Comm          untrusted         `json:"comm"`
	Exe           untrusted         `json:"exe"`
	Command       *untrusted        `json:"command"` // null if not asked for
	UID           uint32            `json:"uid"`
	User          untrusted         `json:"user"`
	State         untrusted         `json:"state"`
	Unit          untrusted         `json:"unit"`
	Container     untrusted         `json:"container"`
	Pod           untrusted         `json:"pod"`
	NetNS         uint64            `json:"netns"`
	FDs           jsonFDs           `json:"fds"`
	Sockets       int               `json:"sockets"`
	Unaccepted    int               `json:"unaccepted"`
	AtMost        bool              `json:"unaccepted_is_upper_bound"`
	States        map[string]*int   `json:"states"`         // of held sockets; null: not known
	OldestSeconds *float64          `json:"oldest_seconds"` // null if no socket has ended
	OldestIsLower bool              `json:"oldest_is_lower_bound"`
	Forwards      bool              `json:"forwards_half_closes"`
	Unread        jsonUnread        `json:"unread"`
	RecvBytes     uint64            `json:"recv_queue_bytes"`
	SendBytes     uint64            `json:"send_queue_bytes"`
	Shared        int               `json:"shared"`
	Keepalive     int               `json:"keepalive"`
	LocalPeer     int               `json:"local_peer"`
	Services      []jsonService     `json:"services"`
	MoreServices  int               `json:"services_omitted"`
	Remotes       int               `json:"remote_addresses"`
	TopRemote     *jsonRemote       `json:"top_remote"`  // null if no socket has ended
	TopNetwork    *jsonNetwork      `json:"top_network"` // the same
	LocalPorts    *jsonPorts        `json:"local_ports"` // null if not known
	Rules         []string          `json:"rules"`       // null without a rules file
	Trend         *jsonTrend        `json:"trend"`       // null without a history
	History       []jsonPoint       `json:"history"`     // the same
	Other         *jsonOther        `json:"other"`       // null if it has ended sockets
	Verdict       *jsonShortVerdict `json:"verdict"`     // null if not known
}

// jsonTrend has null for values that are not known.
type jsonTrend struct {
	OverSeconds      float64  `json:"over_seconds"`
	SocketsPerSecond *float64 `json:"sockets_per_second"`
	FDsPerSecond     *float64 `json:"fds_per_second"`
	LeftSeconds      *float64 `json:"left_seconds"`
	GroupRestarts    int      `json:"group_restarts"`
}

// jsonPoint is what an earlier scan has found. It has null for values that are not known.
type jsonPoint struct {
	At      time.Time `json:"at"`
	Sockets int       `json:"sockets"`
	OpenFDs *uint64   `json:"open_fds"`
	Limit   *uint64   `json:"fd_limit"` // null without a limit too
}

// jsonOther describes the sockets of a process that has none whose connection has ended.
type jsonOther struct {
	OldestSeconds float64       `json:"oldest_seconds"`
	OldestIsLower bool          `json:"oldest_is_lower_bound"`
	Services      []jsonService `json:"services"`
	MoreServices  int           `json:"services_omitted"`
	TopRemote     *jsonRemote   `json:"top_remote"` // null if it was never connected
}

// jsonFDs has null for values that are not known.
type jsonFDs struct {
	Open      *uint64  `json:"open"`
	Limit     *uint64  `json:"limit"`
	Unlimited bool     `json:"unlimited"`
	Ratio     *float64 `json:"ratio"`
}

type jsonUnread struct {
	None int `json:"none"`
	FIN  int `json:"fin"`
	Data int `json:"data"`
}

type jsonService struct {
	Direction string `json:"direction"`
	Port      uint16 `json:"port"`
	Sockets   int    `json:"sockets"`
}

type jsonRemote struct {
	Address string `json:"address"`
	Sockets int    `json:"sockets"`
}

type jsonNetwork struct {
	Network string `json:"network"`
	Sockets int    `json:"sockets"`
}

func newJSONProcess(row *Row, now time.Time) jsonProcess {
	h, all := row.Holder, &row.Ended
	unaccepted, exact := h.UnacceptedCount()
	p := jsonProcess{
		Group: untrusted(h.Group()), PID: h.ID.PID, StartTime: h.StartTime.UTC(), Comm: untrusted(h.Comm), Exe: untrusted(h.Exe),
		UID: h.UID, User: untrusted(h.User), State: untrusted(h.State), Unit: untrusted(h.Unit), Container: untrusted(h.Container),
		Pod: untrusted(h.Pod), NetNS: uint64(h.NetNS), FDs: newJSONFDs(&h.Process),
		Sockets: h.Ended.Len(), Unaccepted: unaccepted, AtMost: !exact, OldestIsLower: all.LowerBounds > 0, Forwards: h.ForwardsHalfCloses(),
		Unread:    jsonUnread{None: all.Unread[closewait.UnreadNone], FIN: all.Unread[closewait.UnreadFIN], Data: all.Unread[closewait.UnreadData]},
		RecvBytes: all.UnreadBytes, SendBytes: all.SendBytes,
		Shared: all.Shared, Keepalive: all.Keepalive, LocalPeer: all.LocalPeer,
		Remotes: all.RemoteAddresses, LocalPorts: newJSONPorts(&h.Ports),
	}
	if all.Len() > 0 {
		oldest := all.Oldest(now).Seconds()
		p.OldestSeconds = &oldest
		p.TopRemote = &jsonRemote{Address: all.TopRemote.Addr.String(), Sockets: all.TopRemote.Sockets}
		p.TopNetwork = &jsonNetwork{Network: all.TopNetwork.Prefix.String(), Sockets: all.TopNetwork.Sockets}
	}
	p.Services, p.MoreServices = newJSONServices(all)
	if all.Len() == 0 {
		p.Other = newJSONOther(&h.Other, now)
	}
	return p
}

// newJSONServices returns the first services of a process, and the number of others.
func newJSONServices(h *closewait.Holding) (services []jsonService, omitted int) {
	services = []jsonService{}
	for _, s := range h.Services[:min(len(h.Services), maxServices)] {
		services = append(services, jsonService{s.Direction.String(), s.Port, s.Sockets})
	}
	return services, len(h.Services) - len(services)
}

func newJSONOther(h *closewait.Holding, now time.Time) *jsonOther {
	o := &jsonOther{OldestSeconds: h.Oldest(now).Seconds(), OldestIsLower: h.LowerBounds > 0}
	o.Services, o.MoreServices = newJSONServices(h)
	if top := h.TopRemote; top.Addr.IsValid() && !top.Addr.IsUnspecified() {
		o.TopRemote = &jsonRemote{Address: top.Addr.String(), Sockets: top.Sockets}
	}
	return o
}

// newJSONHistory returns nil without a history.
func newJSONHistory(past Trends, id closewait.ProcessID) []jsonPoint {
	if past == nil {
		return nil
	}
	points := []jsonPoint{}
	for _, p := range past.Points(id) {
		point := jsonPoint{At: p.At.UTC(), Sockets: p.Sockets}
		if p.Limit != 0 {
			point.OpenFDs = &p.FDs
		}
		if p.Limit != 0 && p.Limit != closewait.UnlimitedFDs {
			point.Limit = &p.Limit
		}
		points = append(points, point)
	}
	return points
}

func newJSONFDs(p *closewait.Process) jsonFDs {
	var fds jsonFDs
	if p.FDsKnown {
		fds.Open = &p.OpenFDs
	}
	fds.Unlimited = p.MaxFDs == closewait.UnlimitedFDs
	if p.MaxFDs != 0 && !fds.Unlimited {
		fds.Limit = &p.MaxFDs
	}
	if ratio, known := p.FDRatio(); known {
		fds.Ratio = &ratio
	}
	return fds
}

func newJSONTrend(past Trends, row *Row) *jsonTrend {
	if past == nil {
		return nil
	}
	t := row.Trend
	j := &jsonTrend{OverSeconds: t.Sockets.Over.Seconds(), GroupRestarts: past.Group(&row.Holder.Process).Restarts}
	if t.Sockets.Over > 0 {
		j.SocketsPerSecond = &t.Sockets.PerSecond
	}
	if t.FDs.Over > 0 {
		j.FDsPerSecond = &t.FDs.PerSecond
	}
	if t.RunsOut {
		left := t.Left.Seconds()
		j.LeftSeconds = &left
	}
	return j
}
