package app

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/term"

	"closewait_exporter/report"
)

// output is standard output.
type output struct {
	io.Writer                             // escapes what would control a terminal
	screen    io.Writer                   // the terminal itself; nil if standard output is none
	size      func() (columns, lines int) // of the terminal; 0: no limit
}

func newOutput(stdout io.Writer) *output {
	out := &output{Writer: report.NewTerminalWriter(stdout), size: func() (int, int) { return 0, 0 }}
	if file, ok := stdout.(*os.File); ok {
		out.size = func() (int, int) { return report.Size(file) }
		if term.IsTerminal(int(file.Fd())) {
			out.screen = stdout
		}
	}
	return out
}

// Control sequences of terminals (ECMA-48).
const (
	home       = "\x1b[H"
	clearAll   = "\x1b[2J"
	clearRight = "\x1b[K"
	clearBelow = "\x1b[J"
)

// draw replaces the content of the screen by a text whose names are escaped already. It overwrites
// what is there, which flickers less than an empty screen in between. A line is cleared before it
// is written: behind a full line, the cursor is on its last character.
func (o *output) draw(text []byte, first bool) error {
	var frame bytes.Buffer
	frame.WriteString(home)
	if first {
		frame.WriteString(clearAll)
	}
	for line := range bytes.Lines(text) {
		frame.WriteString(clearRight)
		frame.Write(line)
	}
	frame.WriteString(clearBelow)
	_, err := o.screen.Write(frame.Bytes())
	return err
}
