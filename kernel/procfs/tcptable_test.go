package procfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"closewait_exporter/internal/kerneltest"
)

const (
	tcpHeader  = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n"
	tcp6Header = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
)

// tableAddr prints an address as the kernel does.
func tableAddr(a netip.AddrPort) string {
	var b strings.Builder
	for word := range slices.Chunk(a.Addr().AsSlice(), 4) {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(word))
	}
	return fmt.Sprintf("%s:%04X", b.String(), a.Port())
}

// tableLine prints a row as get_tcp4_sock and get_tcp6_sock do.
func tableLine(number int, r TCPRow) string {
	line := fmt.Sprintf("%4d: %s %s %02X %08X:%08X %02X:%08X %08X %5d %8d %d 1 00000000c8d42e11 20 4 30 10 -1",
		number, tableAddr(r.Local), tableAddr(r.Remote), r.State, r.SendQueue, r.RecvQueue, r.Timer, 0x2A3, 0, r.UID, 0, r.Inode)
	if r.Local.Addr().Is4() {
		line = fmt.Sprintf("%-149s", line)
	}
	return line + "\n"
}

func tableRow(local, remote string, state uint8) TCPRow {
	return TCPRow{
		Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), State: state,
		SendQueue: 5, RecvQueue: 0xfffffff1, Timer: 2, UID: 4294967294, Inode: 1<<32 - 1,
	}
}

var (
	closeWait4  = tableRow("127.0.0.1:8080", "10.1.2.3:49153", 8)
	closeWait6  = tableRow("[2001:db8:1:2:3:4:5:6]:443", "[fe80::1]:65535", 8)
	closeMapped = tableRow("[::ffff:127.0.0.1]:443", "[::ffff:10.1.2.3]:1", 8)
	finWait4    = tableRow("127.0.0.1:8080", "10.1.2.3:49155", 5)
	listen4     = tableRow("0.0.0.0:22", "0.0.0.0:0", 10)
	listen6     = tableRow("[::]:22", "[::]:0", 10)
	timeWait4   = tableRow("127.0.0.1:8080", "10.1.2.3:49154", 6)
	timeWait6   = tableRow("[::1]:8080", "[::1]:49154", 6)
)

// parseTable collects the rows of parseTCP.
func parseTable(t *testing.T, r io.Reader, buf []byte) (rows []TCPRow, malformed int) {
	t.Helper()
	malformed, err := parseTCP(r, buf, HalfClosedOrListen, func(r TCPRow) { rows = append(rows, r) })
	if err != nil {
		t.Fatal(err)
	}
	return rows, malformed
}

func TestSocketTable(t *testing.T) {
	line := tableLine(1, closeWait4)
	skipped := tableLine(2, timeWait4)
	change := func(from, to string) string {
		changed := strings.Replace(line, from, to, 1)
		if changed == line {
			t.Fatalf("no %q in %q", from, line)
		}
		return changed
	}
	for name, test := range map[string]struct {
		table     string
		rows      []TCPRow
		malformed int
	}{
		"empty file":  {"", nil, 0},
		"header only": {tcpHeader, nil, 0},
		"IPv4": {
			tcpHeader + tableLine(0, listen4) + skipped + line + skipped,
			[]TCPRow{listen4, closeWait4}, 0,
		},
		"IPv6, a mapped address stays mapped": {
			tcp6Header + tableLine(0, timeWait6) + tableLine(1, listen6) + tableLine(2, closeWait6) + tableLine(3, closeMapped),
			[]TCPRow{listen6, closeWait6, closeMapped}, 0,
		},
		"a socket that was shut down":       {skipped + tableLine(1, finWait4) + line, []TCPRow{finWait4, closeWait4}, 0},
		"line number of more than 4 digits": {tableLine(1234567, closeWait4), []TCPRow{closeWait4}, 0},
		"expiry of more than 8 digits":      {change(":000002A3", ":FFFFFFFF000002A3"), []TCPRow{closeWait4}, 0},
		"other states": {
			tcpHeader + tableLine(0, tableRow("1.2.3.4:1", "1.2.3.4:2", 1)) + tableLine(1, tableRow("1.2.3.4:1", "1.2.3.4:2", 7)), nil, 0,
		},

		"no newline at the end":               {skipped + line[:len(line)-1], nil, 1},
		"an unwanted line cut short":          {line + skipped[:50], []TCPRow{closeWait4}, 1},
		"empty line":                          {"\n" + line, []TCPRow{closeWait4}, 1},
		"garbage between lines":               {line + "\x00\xff garbage : x y z\n" + line, []TCPRow{closeWait4, closeWait4}, 1},
		"line too long, and others after it":  {strings.Repeat("x", 5000) + "\n" + line, []TCPRow{closeWait4}, 1},
		"line too long, though good so far":   {line[:len(line)-1] + strings.Repeat(" ", 5000) + "\n" + line, []TCPRow{closeWait4}, 1},
		"endless line":                        {line + strings.Repeat("x", 5000), []TCPRow{closeWait4}, 1},
		"line that ends with the inode":       {change(" 4294967295 1", " 4294967295\n 1"), nil, 2},
		"address that is no number":           {change("0100007F", "0100007G"), nil, 1},
		"address with the colon elsewhere":    {change("0100007F:1F90", "0100007:F1F90"), nil, 1},
		"addresses of two families":           {change("0100007F:", "00000000000000000000000000000000:"), nil, 1},
		"port that is no number":              {change(":1F90", ":1F9x"), nil, 1},
		"port without a colon":                {change(":1F90", "01F90"), nil, 1},
		"state of three digits":               {change(" 08 ", " 008 "), nil, 1},
		"queues without a colon":              {change("00000005:", "00000005"), nil, 1},
		"queue beyond 32 bits":                {change("FFFFFFF1", "1FFFFFFF1"), nil, 1},
		"timer that is no number":             {change(" 02:", " -2:"), nil, 1},
		"uid beyond 32 bits":                  {change("4294967294 ", "4294967296 "), nil, 1},
		"inode beyond 64 bits":                {change("4294967295 ", "18446744073709551616 "), nil, 1},
		"line number that is none":            {change("   1:", "   x:"), nil, 1},
		"first half of a line, then a line":   {line[:60] + line, nil, 1},
		"negative inode":                      {change("4294967295 ", "-1 "), nil, 1},
		"column missing":                      {change(" 00000000 ", " "), nil, 1},
		"wanted state of another spelling":    {change(" 08 ", " 0a "), nil, 0},
		"tabs for spaces":                     {strings.ReplaceAll(line, " ", "\t"), nil, 1},
		"carriage return within the line end": {line[:len(line)-1] + "\r\n", []TCPRow{closeWait4}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rows, malformed := parseTable(t, strings.NewReader(test.table), make([]byte, 1<<16))
			if !slices.Equal(rows, test.rows) || malformed != test.malformed {
				t.Errorf("got %+v and %d malformed, want %+v and %d", rows, malformed, test.rows, test.malformed)
			}
		})
	}
}

func TestSocketTableIsReadRightInPiecesOfAnySize(t *testing.T) {
	table := tcp6Header + tableLine(0, listen6) + tableLine(1, timeWait6) + strings.Repeat("x", 700) + "\n" + tableLine(2, closeWait6) + "cut"
	want := []TCPRow{listen6, closeWait6}
	for size := range 1500 {
		rows, malformed := parseTable(t, strings.NewReader(table), make([]byte, size))
		if !slices.Equal(rows, want) || malformed != 2 {
			t.Errorf("buffer of %d bytes: %+v and %d malformed", size, rows, malformed)
		}
	}
	for name, reader := range map[string]io.Reader{
		"single bytes":                iotest.OneByteReader(strings.NewReader(table)),
		"half of what is asked for":   iotest.HalfReader(strings.NewReader(table)),
		"the end with the last bytes": iotest.DataErrReader(strings.NewReader(table)),
	} {
		if rows, malformed := parseTable(t, reader, nil); !slices.Equal(rows, want) || malformed != 2 {
			t.Errorf("%s: %+v and %d malformed", name, rows, malformed)
		}
	}
}

func TestErrorOfReadingASocketTableIsPassedOn(t *testing.T) {
	broken := errors.New("broken")
	reader := io.MultiReader(strings.NewReader(tableLine(0, closeWait4)+"   1: 01"), iotest.ErrReader(broken))
	rows := 0
	malformed, err := parseTCP(reader, nil, HalfClosedOrListen, func(TCPRow) { rows++ })
	if !errors.Is(err, broken) || rows != 1 || malformed != 0 {
		t.Errorf("got %d rows, %d malformed, %v", rows, malformed, err)
	}
}

func TestSocketTableIsParsedWithoutAllocation(t *testing.T) {
	table := []byte(tcpHeader + strings.Repeat(tableLine(0, timeWait4)+tableLine(1, closeWait4)+tableLine(2, closeMapped), 100))
	reader, buf, rows := bytes.NewReader(table), make([]byte, 4096), 0
	if n := testing.AllocsPerRun(20, func() {
		reader.Reset(table)
		_, _ = parseTCP(reader, buf, HalfClosedOrListen, func(TCPRow) { rows++ })
	}); n != 0 || rows == 0 {
		t.Errorf("%v allocations for a table, %d rows", n, rows)
	}
}

func TestTableRowsOfRealSocketsSayWhatTheSocketsSay(t *testing.T) {
	made := kerneltest.LiveSockets(t)
	rows := map[uint64]TCPRow{}
	for _, name := range []string{"tcp", "tcp6"} {
		file, err := os.Open("/proc/self/net/" + name)
		if err != nil {
			t.Skipf("no table here: %v", err)
		}
		defer file.Close()
		parsed, malformed := parseTable(t, file, make([]byte, 1<<16))
		if malformed != 0 {
			t.Errorf("%d lines of %s are malformed", malformed, name)
		}
		for _, row := range parsed {
			if v6 := row.Local.Addr().Is6(); v6 != (name == "tcp6") {
				t.Errorf("%v in %s", row.Local, name)
			}
			rows[row.Inode] = row
		}
	}
	for name, socket := range made {
		want := TCPRow{
			Local: socket.Local, Remote: socket.Remote, State: socket.State,
			RecvQueue: socket.RecvQueue, UID: socket.UID, Inode: socket.Inode,
		}
		got, found := rows[socket.Inode]
		want.Timer = got.Timer // Go sets keepalive on what it accepts
		if !found || got != want || got.Timer != 0 && got.Timer != 2 {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}
