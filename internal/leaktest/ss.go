package leaktest

import (
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Row is a socket as ss shows it.
type Row struct {
	Local, Remote netip.AddrPort // v4-mapped where the socket is an IPv6 one; remote is zero for a listener
	RecvQ, SendQ  uint32         // bytes, an unread FIN counts as one; of a listener: accept queue length and limit
	Inode         uint64         // 0 while it is unaccepted
	Cookie        uint64
	UID           uint32
	Users         []User // the processes that hold it, as far as ss can find them
	Timer         string // such as keepalive, on, persist; empty where none runs
	BytesSent     uint64 // of the connection
}

// User is a descriptor of a socket.
type User struct {
	Comm    string // up to the first ")", as ss reads it
	PID, FD int
}

// HeldBy reports whether the process holds the socket.
func (r *Row) HeldBy(pid int) bool {
	return slices.ContainsFunc(r.Users, func(u User) bool { return u.PID == pid })
}

// SS asks ss for the sockets in the given states, in CLOSE_WAIT where none are given, in the
// network namespace of a process, or of the test where pid is 0. It skips the test where ss is
// missing.
func SS(t testing.TB, pid int, states ...string) []Row {
	t.Helper()
	return show(t, "-tanpeiOH", pid, states)
}

// SSOfMPTCP asks ss for MPTCP sockets, whose queues it shows as memory, as SS does for TCP sockets.
func SSOfMPTCP(t testing.TB, pid int, states ...string) []Row {
	t.Helper()
	return show(t, "-MpneiOH", pid, states)
}

func show(t testing.TB, flags string, pid int, states []string) []Row {
	t.Helper()
	if len(states) == 0 {
		states = []string{"close-wait"}
	}
	command := []string{RequireProgram(t, "ss"), flags}
	for _, state := range states {
		command = append(command, "state", state)
	}
	if pid != 0 {
		RequireRoot(t)
		enter := []string{RequireProgram(t, "nsenter"), "--net=/proc/" + strconv.Itoa(pid) + "/ns/net", "--"}
		command = append(enter, command...)
	}
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(command, " "), err)
	}
	rows, err := parseSS(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

var (
	// A line that begins like this is a new socket. Any other line continues the one before,
	// because a comm can contain a newline. ss prints the state when it is asked for more than one.
	rowStart = regexp.MustCompile(`(?m)^(?:[A-Z][A-Z0-9-]+ +)?(\d+) +(\d+) +(\S+:\d+) +(\S+:(?:\d+|\*)) `)
	rowUser  = regexp.MustCompile(`(?s)\("(.{0,15}?)",pid=(\d+),fd=(\d+)\)`)
	rowTimer = regexp.MustCompile(` timer:\(([^,)]+)`)
	rowSent  = regexp.MustCompile(` bytes_sent:(\d+)`)
	rowInode = regexp.MustCompile(` ino:(\d+)`)
	rowUID   = regexp.MustCompile(` uid:(\d+)`)
	rowSK    = regexp.MustCompile(` sk:([0-9a-f]+)`)
	scope    = regexp.MustCompile(`%[^\]:]+`)
)

func parseSS(out string) ([]Row, error) {
	var rows []Row
	starts := rowStart.FindAllStringSubmatchIndex(out, -1)
	for i, start := range starts {
		end := len(out)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		row, err := parseRow(rowStart.FindStringSubmatch(out[start[0]:end]), out[start[1]-1:end])
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func parseRow(head []string, rest string) (Row, error) {
	row := Row{RecvQ: uint32(number(head[1], 10)), SendQ: uint32(number(head[2], 10))}
	var err error
	if row.Local, err = ssAddr(head[3]); err != nil {
		return row, err
	}
	if row.Remote, err = ssAddr(head[4]); err != nil {
		return row, err
	}
	for _, user := range rowUser.FindAllStringSubmatch(rest, -1) {
		row.Users = append(row.Users, User{user[1], int(number(user[2], 10)), int(number(user[3], 10))})
	}
	rest = rowUser.ReplaceAllString(rest, "")
	row.Timer = field(rowTimer, rest)
	row.BytesSent = number(field(rowSent, rest), 10)
	row.Inode = number(field(rowInode, rest), 10)
	row.UID = uint32(number(field(rowUID, rest), 10))
	row.Cookie = number(field(rowSK, rest), 16)
	return row, nil
}

// ssAddr parses an address as ss prints it: a wildcard of both families is "*", a listener has "*"
// as the remote port, an interface follows a "%".
func ssAddr(s string) (netip.AddrPort, error) {
	if strings.HasSuffix(s, ":*") {
		return netip.AddrPort{}, nil
	}
	if port, ok := strings.CutPrefix(s, "*:"); ok {
		s = "[::]:" + port
	}
	return netip.ParseAddrPort(scope.ReplaceAllString(s, ""))
}

func field(pattern *regexp.Regexp, s string) string {
	if found := pattern.FindStringSubmatch(s); found != nil {
		return found[1]
	}
	return ""
}

// number is 0 where ss prints nothing, as it does for uid 0.
func number(s string, base int) uint64 {
	n, _ := strconv.ParseUint(s, base, 64) // the pattern has checked the digits
	return n
}
