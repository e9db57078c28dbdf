package kernel

import (
	"bytes"
	"errors"
	"io"
)

// tableLineSize is the size of a buffer that every line fits into, with its newline: those of tcp
// have 150 bytes, those of tcp6 up to about 250.
const tableLineSize = 512

// parseProcTCP reads a /proc/PID/net/tcp or tcp6 and calls row for each socket in a wanted state. It
// counts the lines that such a file does not have; one without a newline at the end was cut short
// and is one of them. It allocates nothing, unless buf is too small for a line.
func parseTCP(r io.Reader, buf []byte, wanted States, row func(TCPRow)) (malformed int, err error) {
	if len(buf) < tableLineSize {
		buf = make([]byte, tableLineSize)
	}
	table := procTable{wanted: wanted, row: row}
	begun := 0 // bytes at the start of buf: the line whose end was not read yet
	for {
		n, err := r.Read(buf[begun:])
		begun = copy(buf, table.take(buf[:begun+n]))
		switch {
		case errors.Is(err, io.EOF):
			table.end(begun)
			return table.malformed, nil
		case err != nil:
			return table.malformed, err
		}
	}
}

// procTable is what is known of a table that is being read. A hundred thousand of its lines may be
// sockets in TIME_WAIT, so a line that is not wanted costs no more than finding the state in it.
type procTable struct {
	wanted    States
	row       func(TCPRow)
	malformed int
	endless   bool // a line too long for any is being passed over
}

// take takes in whole lines and returns what is left: the beginning of a line, shorter than any
// buffer.
func (t *procTable) take(data []byte) []byte {
	for {
		end := bytes.IndexByte(data, '\n')
		switch {
		case end >= 0 && t.endless:
			t.endless = false
		case end >= 0:
			t.line(data[:end])
		case len(data) >= tableLineSize:
			t.giveUp()
			return nil
		default:
			return data
		}
		data = data[end+1:]
	}
}

func (t *procTable) giveUp() {
	if !t.endless {
		t.malformed++
	}
	t.endless = true
}

// end takes in the end of the file after a number of bytes without a newline.
func (t *procTable) end(rest int) {
	if rest > 0 && !t.endless {
		t.malformed++
	}
}

func (t *procTable) line(line []byte) {
	fields := tableFields(line)
	head := tableHead{number: fields.next(), local: fields.next(), remote: fields.next(), state: fields.next()}
	var row TCPRow
	switch {
	case string(head.number) == "sl": // the names of the columns
	case !head.sound() || len(line) >= tableLineSize:
		t.malformed++
	case !t.wanted(head.state):
	case !row.parse(head, fields):
		t.malformed++
	default:
		t.row(row)
	}
}
