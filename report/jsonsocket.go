package report

import (
	"net/netip"
	"time"

	"closewait_exporter/closewait"
)

type jsonSocket struct {
	NetNS        uint64       `json:"netns"`
	Family       string       `json:"family"`
	State        string       `json:"state"`
	Local        string       `json:"local"`
	Remote       string       `json:"remote"`
	Direction    string       `json:"direction"`
	ServicePort  uint16       `json:"service_port"`
	AgeSeconds   float64      `json:"age_seconds"`
	AgeIsLower   bool         `json:"age_is_lower_bound"`
	QuietSeconds *float64     `json:"quiet_seconds"`
	Unread       *string      `json:"unread"`
	RecvBytes    uint64       `json:"recv_queue_bytes"`
	SendBytes    uint64       `json:"send_queue_bytes"`
	Timer        string       `json:"timer"`
	Inode        uint64       `json:"inode"`
	Cookie       *string      `json:"cookie"`
	UID          uint32       `json:"uid"`
	Owner        string       `json:"owner"`
	Holders      []jsonHolder `json:"holders"`
}

type jsonHolder struct {
	PID  int       `json:"pid"`
	Comm untrusted `json:"comm"`
}

func (r *Report) jsonSockets() []jsonSocket {
	processes := r.processes()
	list := []jsonSocket{}
	for _, s := range r.sockets() {
		list = append(list, newJSONSocket(s, r.View.Taken, processes))
	}
	return list
}

func newJSONSocket(s *closewait.Socket, now time.Time, processes map[closewait.ProcessID]*closewait.Process) jsonSocket {
	j := jsonSocket{
		NetNS: uint64(s.ID.NetNS), Family: s.Family().String(), Local: jsonAddress(s.Local), Remote: jsonAddress(s.Remote),
		Direction: s.Direction.String(), ServicePort: s.Port(),
		AgeSeconds: s.Age(now).Seconds(), AgeIsLower: s.AgeIsLowerBound,
		State: s.State.String(), RecvBytes: s.UnreadBytes(), SendBytes: uint64(s.SendQueue), Timer: s.Timer.String(),
		Inode: s.Inode, UID: s.UID, Owner: s.Owner.String(), Holders: []jsonHolder{},
	}
	if known := unread(s); known != "" {
		j.Unread = &known
	}
	if !s.QuietSince.IsZero() {
		quiet := s.Quiet(now).Seconds()
		j.QuietSeconds = &quiet
	}
	if known := cookie(s.ID); known != "" {
		j.Cookie = &known
	}
	for _, id := range s.Holders {
		holder := jsonHolder{PID: id.PID}
		if p := processes[id]; p != nil {
			holder.Comm = untrusted(p.Comm)
		}
		j.Holders = append(j.Holders, holder)
	}
	return j
}

// jsonAddress is empty for an end that has no address.
func jsonAddress(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
