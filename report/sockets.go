package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"closewait_exporter/closewait"
)

// socketColumns of the table of sockets: every field, so the table is as wide as it has to be. People
// give the numbers of the first to awk(1): the runbook does.
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

// Sockets writes a line for each socket of the processes listed and each without a known holder,
// oldest first, and what can be said of the host below them.
func (r *Report) Sockets(w io.Writer) error {
	sockets := r.sockets()
	if len(sockets) == 0 {
		return writeLines(w, r.Summary())
	}
	table := grid{columns: socketColumns}
	processes := r.processes()
	for _, s := range sockets {
		table.rows = append(table.rows, r.socketRow(s, processes))
	}
	if _, err := table.write(w, 0); err != nil {
		return err
	}
	return writeLines(w, append([]string{""}, r.Summary()...))
}

func (r *Report) socketRow(s *closewait.Socket, processes map[closewait.ProcessID]*closewait.Process) []string {
	return []string{
		strconv.FormatUint(uint64(s.ID.NetNS), 10),
		s.Family().String(),
		Text(s.Local.String()),
		Text(s.Remote.String()),
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
		state(s),
		s.Owner.String(),
		orDash(holders(s, processes)),
	}
}

// cookie is written as ss(8) does after sk:, empty where the engine knows none.
func cookie(id closewait.SocketID) string {
	if id.Cookie == 0 {
		return ""
	}
	return strconv.FormatUint(id.Cookie, 16)
}

// holders are written as pid/comm.
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

// unread is what the program has not read, empty where that tells nothing: no end of file need have
// come before a socket became defunct.
func unread(s *closewait.Socket) string {
	if s.Defunct {
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
