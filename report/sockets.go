package report

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"closewait_exporter/closewait"
)

// socketColumns are the columns of the table of sockets: every field, whatever the width. People
// use the column numbers with awk(1), as the runbook does, so new columns come last.
var socketColumns = []column{
	{title: "NETNS", right: true},
	{title: "FAMILY"},
	{title: "LOCAL"},
	{title: "REMOTE"},
	{title: "DIR"},
	{title: "SERVICE"},
	{title: "AGE", right: true},
	{title: "QUIET", right: true},
	{title: "UNREAD"},
	{title: "RECV", right: true},
	{title: "SEND", right: true},
	{title: "TIMER"},
	{title: "INODE", right: true},
	{title: "COOKIE", right: true},
	{title: "UID", right: true},
	{title: "STATE"},
	{title: "OWNER"},
	{title: "HOLDERS"},
}

// Sockets writes a line for each socket of the listed processes and each socket without a known
// holder, oldest first, and the summary of the host below.
func (r *Report) Sockets(w io.Writer) error {
	sockets := r.sockets()
	if len(sockets) == 0 {
		return writeLines(w, append(r.Summary(), selectionLines(r)...))
	}
	table := grid{columns: socketColumns}
	processes := r.processes()
	for _, s := range sockets {
		table.rows = append(table.rows, r.socketRow(s, processes))
	}
	if _, err := table.write(w, 0); err != nil {
		return err
	}
	return writeLines(w, slices.Concat([]string{""}, r.Summary(), selectionLines(r)))
}

func (r *Report) socketRow(s *closewait.Socket, processes map[closewait.ProcessID]*closewait.Process) []string {
	return []string{
		strconv.FormatUint(uint64(s.ID.NetNS), 10),
		s.Family().String(),
		address(s.Local),
		address(s.Remote),
		direction(s.Direction),
		port(s.Port()),
		Age(s, r.View.Taken),
		quiet(s, r.View.Taken),
		orDash(unread(s)),
		size(s.UnreadBytes()),
		size(uint64(s.SendQueue)),
		s.Timer.String(),
		strconv.FormatUint(s.Inode, 10),
		orDash(cookie(s.ID)),
		strconv.FormatUint(uint64(s.UID), 10),
		stateName(s.State),
		s.Owner.String(),
		orDash(holders(s, processes)),
	}
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
