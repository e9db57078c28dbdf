package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"closewait_exporter/closewait"
)

// socketColumns are the columns of the table of sockets. People use the column numbers with awk(1),
// as the runbook does, so new columns come last. A narrow terminal first loses those that help
// least to find out why a socket is leaked; elsewhere all are written.
var socketColumns = []column{
	{title: "NETNS", right: true, dropOrder: 3},
	{title: "FAMILY", dropOrder: 1},
	{title: "LOCAL", minWidth: 14, keepEnd: true},
	{title: "REMOTE", minWidth: 14, keepEnd: true},
	{title: "DIR", dropOrder: 12},
	{title: "SERVICE", dropOrder: 11},
	{title: "AGE", right: true},
	{title: "QUIET", right: true, dropOrder: 10},
	{title: "UNREAD"},
	{title: "RECV", right: true, dropOrder: 9},
	{title: "SEND", right: true, dropOrder: 7},
	{title: "TIMER", dropOrder: 8},
	{title: "INODE", right: true, dropOrder: 4},
	{title: "COOKIE", right: true, dropOrder: 2},
	{title: "UID", right: true, dropOrder: 5},
	{title: "STATE", dropOrder: 13},
	{title: "OWNER", dropOrder: 6},
	{title: "HOLDERS", minWidth: 12},
}

// Sockets writes a line for each socket of the listed processes and each socket without a known
// holder, oldest first, in at most width cells (0 = no limit), and the summary of the host below.
func (r *Report) Sockets(w io.Writer, width int) error {
	sockets := r.sockets()
	below := append(r.Summary(), selectionLines(r)...)
	if len(sockets) == 0 {
		return writeLines(w, wrap(below, width))
	}
	table := grid{columns: socketColumns}
	processes := r.processes()
	for _, s := range sockets {
		table.rows = append(table.rows, r.socketRow(s, processes))
	}
	omitted, err := table.write(w, width)
	if err != nil {
		return err
	}
	return writeLines(w, wrap(slices.Concat([]string{""}, below, omittedLines(omitted)), width))
}

func (r *Report) socketRow(s *closewait.Socket, processes map[closewait.ProcessID]*closewait.Process) []string {
	line := socketLine(s, r.View.Taken)
	return []string{
		strconv.FormatUint(uint64(s.ID.NetNS), 10),
		s.Family().String(),
		line.Local,
		line.Remote,
		direction(s.Direction),
		port(s.Port()),
		line.Age,
		line.Quiet,
		line.Unread,
		line.Recv,
		line.Send,
		line.Timer,
		strconv.FormatUint(s.Inode, 10),
		orDash(cookie(s.ID)),
		strconv.FormatUint(uint64(s.UID), 10),
		line.State,
		s.Owner.String(),
		orDash(holders(s, processes)),
	}
}

// SocketLine is what people ask first about a socket. Its texts are escaped.
type SocketLine struct {
	State, Local, Remote, Service, Age, Quiet, Unread, Recv, Send, Timer string
}

func socketLine(s *closewait.Socket, now time.Time) SocketLine {
	return SocketLine{
		State: stateName(s.State), Local: address(s.Local), Remote: address(s.Remote), Service: direction(s.Direction) + " " + port(s.Port()),
		Age: Age(s, now), Quiet: quiet(s, now), Unread: orDash(unread(s)), Recv: size(s.UnreadBytes()),
		Send: size(uint64(s.SendQueue)), Timer: s.Timer.String(),
	}
}

// SocketsOf describes the first sockets of a process at the time now, at most limit, oldest first,
// those that have not ended last.
func SocketsOf(h *closewait.Holder, now time.Time, limit int) []SocketLine {
	all := socketsOf(h)
	all = all[:min(limit, len(all))]
	lines := make([]SocketLine, 0, len(all))
	for _, s := range all {
		lines = append(lines, socketLine(s, now))
	}
	return lines
}

// address is a dash for an end that has none: the peer of a socket that was never connected.
func address(a netip.AddrPort) string {
	if !a.IsValid() || a.Addr().IsUnspecified() && a.Port() == 0 {
		return "-"
	}
	return Text(a.String())
}

// cookie is formatted as ss(8) does after sk:, empty if the scanner knows none.
func cookie(id closewait.SocketID) string {
	if id.Cookie == 0 {
		return ""
	}
	return strconv.FormatUint(id.Cookie, 16)
}

// holders are formatted as pid/comm.
func holders(s *closewait.Socket, processes map[closewait.ProcessID]*closewait.Process) string {
	var all []string
	for _, id := range s.Holders {
		comm := "?"
		if p := processes[id]; p != nil {
			comm = Text(p.Comm)
		}
		all = append(all, fmt.Sprintf("%d/%s", id.PID, comm))
	}
	return strings.Join(all, ",")
}

// unread is what the program has not read. It is empty where that is not known, and for a socket in
// another state, which may never have received an end of file.
func unread(s *closewait.Socket) string {
	if s.State != closewait.CloseWait || s.Unread() == closewait.UnreadUnknown {
		return ""
	}
	return s.Unread().String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
