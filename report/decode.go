package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/history"
)

// What an exporter sends.
const (
	MaxSent  = 200      // processes, as many as a history remembers
	MaxBytes = 16 << 20 // all texts can be as long as a path, and each byte six as JSON
)

// maxDecodedSockets limits the memory that Decode takes: a number of sockets can be made up.
const maxDecodedSockets = 4 << 20

// decoded is the JSON of a Report, from which another exporter's Report was made.
type decoded struct {
	json   jsonReport
	ended  map[closewait.ProcessID]closewait.Holding // accepted or not
	trends map[closewait.ProcessID]history.Trend
}

// Decode makes a Report of the JSON of one without sockets, such as a running exporter's. It has
// the same rows and lines, and can be filtered, sorted and written as JSON again. An error says
// what is wrong with the JSON.
func Decode(data []byte) (*Report, error) {
	d := &decoded{ended: map[closewait.ProcessID]closewait.Holding{}, trends: map[closewait.ProcessID]history.Trend{}}
	if err := json.Unmarshal(data, &d.json); err != nil {
		return nil, err
	}
	j := &d.json
	switch {
	case j.Version == 0 || j.Scanner.Name == "":
		return nil, errors.New("it has no version, or names no scanner")
	case j.Version != schemaVersion:
		return nil, fmt.Errorf("it is of version %d, this program reads version %d: use the same version of both", j.Version, schemaVersion)
	}
	r := &Report{
		View: d.view(), MinAge: seconds(j.MinAgeSeconds), History: d, Verdicts: map[closewait.ProcessID]diagnose.Verdict{}, decoded: d,
		Visibility: closewait.Visibility{
			Scanner: Text(j.Scanner.Name), Fallback: j.Scanner.Fallback, Namespaces: j.Scanner.NetworkNamespaces,
			Root: true, // sudo would not help who reads it
		},
	}
	for _, m := range j.Scanner.Missing {
		r.Visibility.Missing = append(r.Visibility.Missing, closewait.MissingCapability{Capability: m.Capability, Lost: m.Lost, HidesSockets: m.Hides})
	}
	left := maxDecodedSockets
	for i := range j.Processes {
		h, err := d.holder(&j.Processes[i], &left)
		if err != nil {
			return nil, fmt.Errorf("process %d: %w", j.Processes[i].PID, err)
		}
		r.Listed, r.Verdicts[h.ID] = append(r.Listed, h), j.Processes[i].Verdict.verdict()
	}
	return r, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (d *decoded) view() *closewait.View {
	j := &d.json
	v := &closewait.View{
		Taken: j.Taken, Took: seconds(j.ScanSeconds), Namespaces: j.Host.NetworkNamespaces,
		UnreadableNamespaces: j.Host.UnreadNetworkNamespaces, Denied: j.Host.DeniedProcesses,
	}
	for _, f := range closewait.Families {
		for _, o := range closewait.Owners {
			v.Sockets[f][o] = j.Host.Sockets[f.String()][o.String()]
		}
	}
	var complete []closewait.State
	for _, s := range allStates {
		if slices.Contains(j.Host.CompleteStates, s.String()) {
			complete = append(complete, s)
		}
	}
	v.Complete = closewait.NewStateSet(complete...)
	for _, o := range ownersOfOwnerless {
		n := min(j.Host.OwnerlessSockets[o.String()], maxDecodedSockets)
		v.Ownerless = append(v.Ownerless, same(n, &closewait.Socket{Owner: o})...)
	}
	return v
}

// same returns a socket n times.
func same(n int, s *closewait.Socket) []*closewait.Socket {
	if n <= 0 {
		return nil
	}
	return slices.Repeat([]*closewait.Socket{s}, n)
}

// holder makes a process. Its sockets are all the oldest one: nothing is known of the others but
// what is counted. left is the number of sockets that may still be made.
func (d *decoded) holder(p *jsonProcess, left *int) (*closewait.Holder, error) {
	h := &closewait.Holder{Process: p.process()}
	if _, twice := d.ended[h.ID]; twice || p.PID <= 0 {
		return nil, errors.New("it is named twice, or is no process")
	}
	all, others := p.Sockets+p.Unaccepted, p.count(closewait.OtherStates)
	if p.Sockets < 0 || p.Unaccepted < 0 || others < 0 || all+others <= 0 || max(p.Sockets, p.Unaccepted, others) > *left {
		return nil, fmt.Errorf("it has %d ended, %d unaccepted and %d other sockets, which cannot be right", p.Sockets, p.Unaccepted, others)
	}
	*left -= min(2*all+others, *left)
	ended, err := p.endedSockets(d.json.Taken)
	if err != nil {
		return nil, err
	}
	h.Ended, h.Unaccepted, d.ended[h.ID] = ended, ended, ended
	h.Ended.Sockets, h.Unaccepted.Sockets = ended.Sockets[:p.Sockets], ended.Sockets[p.Sockets:]
	for _, s := range closewait.EndedStates {
		h.Ended.States[s] = p.count([]closewait.State{s})
	}
	h.Unaccepted.States = [len(h.Unaccepted.States)]int{closewait.CloseWait: p.Unaccepted}
	h.Unaccepted.Contested = 0
	if p.AtMost {
		h.Unaccepted.Contested, h.Queues = p.Unaccepted, closewait.AcceptQueues{Contested: p.Unaccepted, Inexact: true}
	}
	if h.Other, err = p.otherSockets(others, d.json.Taken); err != nil {
		return nil, err
	}
	d.trends[h.ID] = p.Trend.trend()
	return h, nil
}

// count is the number of sockets in some states, as far as it is known.
func (p *jsonProcess) count(states []closewait.State) (n int) {
	for _, s := range states {
		if of := p.States[s.String()]; of != nil {
			n += *of
		}
	}
	return n
}

func (p *jsonProcess) process() closewait.Process {
	of := closewait.Process{
		ID: closewait.ProcessID{PID: p.PID, Start: uint64(p.StartTime.UnixNano())}, StartTime: p.StartTime,
		Comm: string(p.Comm), Exe: string(p.Exe), UID: p.UID, User: string(p.User),
		Unit: string(p.Unit), Container: string(p.Container), Pod: string(p.Pod), NetNS: closewait.NetNS(p.NetNS),
	}
	if of.Group() != string(p.Group) {
		of.Nested = string(p.Group)
	}
	if p.State != "" {
		of.State = p.State[0]
	}
	if p.FDs.Open != nil {
		of.FDsKnown, of.OpenFDs = true, *p.FDs.Open
	}
	switch {
	case p.FDs.Unlimited:
		of.MaxFDs = closewait.UnlimitedFDs
	case p.FDs.Limit != nil:
		of.MaxFDs = *p.FDs.Limit
	}
	return of
}

// endedSockets are the ended sockets, accepted or not.
func (p *jsonProcess) endedSockets(taken time.Time) (h closewait.Holding, err error) {
	n := p.Sockets + p.Unaccepted
	if n == 0 {
		return h, nil
	}
	if p.OldestSeconds == nil {
		return h, errors.New("the age of its oldest socket is missing")
	}
	h = closewait.Holding{
		Sockets:     same(n, &closewait.Socket{Since: taken.Add(-seconds(*p.OldestSeconds))}),
		UnreadBytes: p.RecvBytes, SendBytes: p.SendBytes, Shared: p.Shared, Keepalive: p.Keepalive, LocalPeer: p.LocalPeer,
		RemoteAddresses: p.Remotes, LowerBounds: lowerBounds(p.OldestIsLower), Services: services(p.Services, p.MoreServices, n),
	}
	h.Unread[closewait.UnreadNone], h.Unread[closewait.UnreadFIN], h.Unread[closewait.UnreadData] = p.Unread.None, p.Unread.FIN, p.Unread.Data
	h.TopRemote, err = remote(p.TopRemote)
	return h, err
}

// otherSockets are the sockets that have not ended. What they are like is known only if the process
// has no other.
func (p *jsonProcess) otherSockets(n int, taken time.Time) (h closewait.Holding, err error) {
	h = closewait.Holding{Sockets: same(n, &closewait.Socket{Since: taken}), Services: services(nil, 0, n)}
	if p.Other != nil {
		h.Sockets = same(n, &closewait.Socket{Since: taken.Add(-seconds(p.Other.OldestSeconds))})
		h.LowerBounds, h.Services = lowerBounds(p.Other.OldestIsLower), services(p.Other.Services, p.Other.MoreServices, n)
		h.TopRemote, err = remote(p.Other.TopRemote)
	}
	for _, s := range closewait.OtherStates {
		h.States[s] = p.count([]closewait.State{s})
	}
	return h, err
}

func lowerBounds(some bool) int {
	if some {
		return 1
	}
	return 0
}

// services returns at least one, of all sockets if nothing else is known. Those that were omitted
// are only counted.
func services(list []jsonService, omitted, sockets int) []closewait.Service {
	var all []closewait.Service
	for _, s := range list {
		of := closewait.Service{Port: s.Port, Sockets: s.Sockets}
		for _, d := range []closewait.Direction{closewait.Inbound, closewait.Outbound} {
			if d.String() == s.Direction {
				of.Direction = d
			}
		}
		all = append(all, of)
	}
	if more := min(omitted, sockets-len(all)); more > 0 { // each has a socket
		all = append(all, make([]closewait.Service, more)...)
	}
	if len(all) == 0 {
		all = []closewait.Service{{Sockets: sockets}}
	}
	return all
}

func remote(j *jsonRemote) (closewait.Remote, error) {
	if j == nil {
		return closewait.Remote{}, nil
	}
	addr, err := netip.ParseAddr(j.Address)
	if err != nil && j.Address != (netip.Addr{}).String() {
		return closewait.Remote{}, fmt.Errorf("its remote address: %w", err)
	}
	return closewait.Remote{Addr: addr, Sockets: j.Sockets}, nil
}

// trend is the zero Trend without a history.
func (t *jsonTrend) trend() (trend history.Trend) {
	if t == nil {
		return trend
	}
	if t.SocketsPerSecond != nil {
		trend.Sockets = closewait.Growth{PerSecond: *t.SocketsPerSecond, Over: seconds(t.OverSeconds)}
	}
	if t.FDsPerSecond != nil {
		trend.FDs = closewait.Growth{PerSecond: *t.FDsPerSecond, Over: seconds(t.OverSeconds)}
	}
	if t.LeftSeconds != nil {
		const forever = 100 * 365 * 24 * 3600
		trend.Left, trend.RunsOut = seconds(min(max(*t.LeftSeconds, 0), forever)), true
	}
	return trend
}

// Process implements Trends.
func (d *decoded) Process(id closewait.ProcessID) history.Trend { return d.trends[id] }

// Group implements Trends. Which groups leak again is said by the summary.
func (d *decoded) Group(*closewait.Process) history.GroupTrend { return history.GroupTrend{} }

// Points implements Trends. They are in the JSON only.
func (d *decoded) Points(closewait.ProcessID) []history.Point { return nil }

// only returns the JSON with some of its processes, in another order.
func (d *decoded) only(rows []Row) *jsonReport {
	byID := map[closewait.ProcessID]*jsonProcess{}
	for i := range d.json.Processes {
		p := &d.json.Processes[i]
		byID[closewait.ProcessID{PID: p.PID, Start: uint64(p.StartTime.UnixNano())}] = p
	}
	out := d.json
	out.Processes = []jsonProcess{}
	for i := range rows {
		out.Processes = append(out.Processes, *byID[rows[i].Holder.ID])
	}
	out.Hidden.NotSelected += len(d.json.Processes) - len(out.Processes)
	return &out
}

func (d *decoded) summary() []string { return texts(d.json.Summary) }

func (d *decoded) unseen() []string { return texts(d.json.Unseen) }

// texts escapes what an exporter that is none could control a terminal with.
func texts(list []untrusted) []string {
	all := make([]string, len(list))
	for i, text := range list {
		all[i] = Line(string(text))
	}
	return all
}
