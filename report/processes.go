package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// processColumn is a column of the table of processes.
type processColumn struct {
	column
	cell func(*Row) string
}

// processColumns are the columns of the table of processes. A narrow terminal first loses those
// that help least to pick the worst process.
var processColumns = []processColumn{
	{column{title: "GROUP", minWidth: 12}, func(r *Row) string { return r.Group }},
	{column{title: "PID", right: true}, func(r *Row) string { return r.PID }},
	{column{title: "COMM", minWidth: 8}, func(r *Row) string { return r.Comm }},
	{column{title: "SOCKETS", right: true}, func(r *Row) string { return r.Sockets }},
	{column{title: rateTitle, right: true, dropOrder: 8}, func(r *Row) string { return r.Rate }},
	{column{title: "CLOSED", right: true, dropOrder: 4}, func(r *Row) string { return r.Closed }},
	{column{title: "UNACCEPTED", right: true, dropOrder: 2}, func(r *Row) string { return r.Unaccepted }},
	{column{title: "OTHER", minWidth: 5, dropOrder: 6}, func(r *Row) string { return r.Other }},
	{column{title: "OLDEST", right: true}, func(r *Row) string { return r.Oldest }},
	{column{title: "UNREAD", right: true, dropOrder: 1}, func(r *Row) string { return r.Unread }},
	{column{title: "FDS", right: true, dropOrder: 10}, func(r *Row) string { return r.FDs }},
	{column{title: leftTitle, right: true, dropOrder: 9}, func(r *Row) string { return r.Left }},
	{column{title: "SERVICE", minWidth: 9, dropOrder: 5}, func(r *Row) string { return r.Service }},
	{column{title: "REMOTE", minWidth: 16, dropOrder: 3}, func(r *Row) string { return r.Remote }},
}

// The columns of the trend. They exist if there is a History.
const (
	rateTitle = "RATE"
	leftTitle = "LEFT"
)

// columns returns the columns of this report. The last one is about the rules, if there is a rules
// file.
func (r *Report) columns() []processColumn {
	columns := slices.Clone(processColumns)
	if r.History == nil {
		columns = slices.DeleteFunc(columns, func(c processColumn) bool { return c.title == rateTitle || c.title == leftTitle })
	}
	if r.Rules != nil {
		columns = append(columns, processColumn{
			column{title: "RULE", minWidth: 8, dropOrder: 7},
			func(row *Row) string { return rules(r.Rules(&row.Holder.Process)) },
		})
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
	rows := r.Rows()
	below := slices.Concat(verdictLines(rows), r.Summary(), selectionLines(r), r.ownerlessLines())
	if len(rows) == 0 {
		return writeLines(w, wrap(below, width))
	}
	var table grid
	columns := r.columns()
	for _, c := range columns {
		table.columns = append(table.columns, c.column)
	}
	for i := range rows {
		var cells []string
		for _, c := range columns {
			cells = append(cells, c.cell(&rows[i]))
		}
		table.rows = append(table.rows, cells)
	}
	omitted, err := table.write(w, width)
	if err != nil {
		return err
	}
	if len(omitted) > 0 {
		below = append(below, "Columns omitted to fit the terminal: "+strings.Join(omitted, ", ")+" (COLUMNS=150 or --output=json shows all).")
	}
	return writeLines(w, wrap(append([]string{""}, below...), width))
}

// ownerlessLines counts the sockets that are in no row of the table of processes.
func (r *Report) ownerlessLines() []string {
	sockets := len(r.Ownerless())
	if sockets == 0 {
		return nil
	}
	how := " (--sockets lists them)"
	if r.decoded != nil {
		how = ""
	}
	return []string{fmt.Sprintf("Not in the table: %s that no process is known to hold%s.", Count(sockets, "ended connection"), how)}
}

func writeLines(w io.Writer, lines []string) error {
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}
