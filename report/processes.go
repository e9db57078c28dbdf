package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// processColumns are the columns of the table of processes. A narrow terminal first loses those
// that help least to pick the worst process.
var processColumns = []column{
	{title: "GROUP", minWidth: 12},
	{title: "PID", right: true},
	{title: "COMM", minWidth: 8},
	{title: "SOCKETS", right: true},
	{title: "CLOSED", right: true, dropOrder: 4},
	{title: "UNACCEPTED", right: true, dropOrder: 2},
	{title: "OTHER", minWidth: 5, dropOrder: 6},
	{title: "OLDEST", right: true},
	{title: "UNREAD", right: true, dropOrder: 1},
	{title: "FDS", right: true, dropOrder: 8},
	{title: "SERVICE", minWidth: 9, dropOrder: 5},
	{title: "REMOTE", minWidth: 16, dropOrder: 3},
}

// ruleColumn comes last if there is a rules file.
var ruleColumn = column{title: "RULE", minWidth: 8, dropOrder: 7}

// columns returns the columns of this report.
func (r *Report) columns() []column {
	columns := slices.Clone(processColumns)
	if r.Rules != nil {
		columns = append(columns, ruleColumn)
	}
	return columns
}

// rules formats the names of the rules that match a process.
func rules(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ",")
}

// Processes writes a line for each listed process, worst first, in at most width cells (0 = no
// limit), and the summary of the host below.
func (r *Report) Processes(w io.Writer, width int) error {
	if len(r.Listed) == 0 {
		return writeLines(w, append(r.Summary(), r.ownerlessLines()...))
	}
	table := grid{columns: r.columns()}
	for _, h := range r.Listed {
		line := r.Row(h)
		row := line.cells()
		if r.Rules != nil {
			row = append(row, rules(r.Rules(&h.Process)))
		}
		table.rows = append(table.rows, row)
	}
	omitted, err := table.write(w, width)
	if err != nil {
		return err
	}
	lines := append([]string{""}, r.Summary()...)
	lines = append(lines, r.ownerlessLines()...)
	if len(omitted) > 0 {
		lines = append(lines, "Columns omitted to fit the terminal: "+strings.Join(omitted, ", ")+" (COLUMNS=150 or --output=json shows all).")
	}
	return writeLines(w, lines)
}

// ownerlessLines counts the sockets that are in no row of the table of processes.
func (r *Report) ownerlessLines() []string {
	sockets := len(r.Ownerless())
	if sockets == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Not in the table: %s that no process is known to hold (--sockets lists them).", Count(sockets, "ended connection"))}
}

func writeLines(w io.Writer, lines []string) error {
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}
