package procfs

import (
	"bytes"
	"errors"
	"io"
)

// tableLineSize is the size of a buffer that every line fits into, with its newline: lines of tcp
// have 150 bytes, lines of tcp6 up to about 250.
const tableLineSize = 512

// parseTCP reads a /proc/PID/net/tcp or tcp6 and calls row for each socket in a wanted state. It
// returns the number of malformed lines. A last line without a newline was cut short and counts as
// malformed. It allocates nothing, unless buf is too small for a line.
func parseTCP(r io.Reader, buf []byte, wanted States, row func(TCPRow)) (malformed int, err error) {
	if len(buf) < tableLineSize {
		buf = make([]byte, tableLineSize)
	}
	table := tableParser{wanted: wanted, row: row}
	begun := 0 // bytes at the start of buf that belong to a line whose end was not read yet
	for {
		n, err := r.Read(buf[begun:])
		begun = copy(buf, table.parse(buf[:begun+n]))
		switch {
		case errors.Is(err, io.EOF):
			table.end(begun)
			return table.malformed, nil
		case err != nil:
			return table.malformed, err
		}
	}
}

// tableParser is the state of parsing a table. A hundred thousand of its lines may be sockets in
// TIME_WAIT, so an unwanted line costs only the search for its state.
type tableParser struct {
	wanted    States
	row       func(TCPRow)
	malformed int
	tooLong   bool // the rest of a line that is too long is being skipped
}

// parse parses whole lines and returns the rest: the beginning of a line, shorter than any buffer.
func (t *tableParser) parse(data []byte) []byte {
	for {
		end := bytes.IndexByte(data, '\n')
		switch {
		case end >= 0 && t.tooLong:
			t.tooLong = false
		case end >= 0:
			t.line(data[:end])
		case len(data) >= tableLineSize:
			t.skipLine()
			return nil
		default:
			return data
		}
		data = data[end+1:]
	}
}

func (t *tableParser) skipLine() {
	if !t.tooLong {
		t.malformed++
	}
	t.tooLong = true
}

// end handles the end of the file. rest is the number of bytes after the last newline.
func (t *tableParser) end(rest int) {
	if rest > 0 && !t.tooLong {
		t.malformed++
	}
}

func (t *tableParser) line(line []byte) {
	fields := tableFields(line)
	head := tableHead{number: fields.next(), local: fields.next(), remote: fields.next(), state: fields.next()}
	var row TCPRow
	switch {
	case len(line) >= tableLineSize: // first, so that the result does not depend on the size of the reads
		t.malformed++
	case string(head.number) == "sl": // the names of the columns
	case !head.valid():
		t.malformed++
	case !t.wanted(head.state):
	case !row.parse(head, fields):
		t.malformed++
	default:
		t.row(row)
	}
}
