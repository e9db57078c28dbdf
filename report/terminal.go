package report

import (
	"os"
	"strconv"

	"golang.org/x/term"
)

// Width is the number of cells in a line of a terminal. It is 0, which means no limit, if the
// file is not a terminal or its width is unknown. The variable COLUMNS overrides the width of a
// terminal.
func Width(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
