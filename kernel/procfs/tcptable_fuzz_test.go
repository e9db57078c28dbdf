package procfs

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzParseTCP checks that it does not matter in which pieces a file is read, that what was
// parsed can be printed and parsed again, and that no line is lost.
func FuzzParseTCP(f *testing.F) {
	for _, row := range []TCPRow{closeWait4, closeWait6, closeMapped, listen4, listen6, timeWait4, timeWait6} {
		f.Add([]byte(tcpHeader+tableLine(0, row)), 600)
		f.Add([]byte(tableLine(12345, row)[5:]), 0)
	}
	f.Add([]byte(strings.Repeat("x", 2000)+"\n"), 1000)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		rows, malformed := parseTable(t, bytes.NewReader(data), make([]byte, 1<<16))
		for _, reader := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))} {
			again, bad := parseTable(t, reader, make([]byte, max(0, size%2048)))
			if !slices.Equal(again, rows) || bad != malformed {
				t.Errorf("in pieces: %+v and %d malformed, in one: %+v and %d", again, bad, rows, malformed)
			}
		}
		if lines := bytes.Count(data, []byte{'\n'}) + 1; len(rows)+malformed > lines {
			t.Errorf("%d rows and %d malformed of %d lines", len(rows), malformed, lines)
		}
		var printed strings.Builder
		for i, row := range rows {
			printed.WriteString(tableLine(i, row))
		}
		again, bad := parseTable(t, strings.NewReader(printed.String()), nil)
		if !slices.Equal(again, rows) || bad != 0 {
			t.Errorf("%+v is printed and read as %+v, %d malformed", rows, again, bad)
		}
	})
}

func BenchmarkParseTCP(b *testing.B) {
	for _, bench := range []struct {
		name string
		row  TCPRow
	}{{"131000 in TIME_WAIT", timeWait4}, {"131000 in CLOSE_WAIT", closeWait4}, {"131000 in CLOSE_WAIT, IPv6", closeWait6}} {
		b.Run(bench.name, func(b *testing.B) {
			table := []byte(tcpHeader + strings.Repeat(tableLine(1, bench.row), 131000))
			reader, buf := bytes.NewReader(table), make([]byte, 64<<10)
			b.ReportAllocs()
			b.SetBytes(int64(len(table)))
			for b.Loop() {
				reader.Reset(table)
				if malformed, err := parseTCP(reader, buf, HalfClosedOrListen, func(TCPRow) {}); malformed != 0 || err != nil {
					b.Fatal(malformed, err)
				}
			}
		})
	}
}
