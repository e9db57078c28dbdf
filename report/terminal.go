package report

import (
	"os"
	"strconv"

	"golang.org/x/term"
)

// Size is the number of cells in a line of a terminal, and the number of lines. Both are 0, which
// means no limit, if the file is not a terminal or its size is unknown. The variables COLUMNS and
// LINES override the size of a terminal.
func Size(f *os.File) (columns, lines int) {
	if !term.IsTerminal(int(f.Fd())) {
		return 0, 0
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err != nil {
		columns, lines = 0, 0
	}
	return fromEnvironment("COLUMNS", columns), fromEnvironment("LINES", lines)
}

func fromEnvironment(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil && n > 0 {
		return n
	}
	return otherwise
}
