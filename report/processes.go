package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"closewait_exporter/closewait"
)

// processColumn is a column of the table of processes.
type processColumn struct {
	column
	cell func(*Row) string
}

// processColumns are the columns of the table of processes. A narrow terminal first loses those
// that help least to pick the worst process and to find out what it is.
var processColumns = []processColumn{
	{column{title: "GROUP", minWidth: 12}, func(r *Row) string { return r.Group }},
	{column{title: "PID", right: true}, func(r *Row) string { return r.PID }},
	{column{title: commTitle, minWidth: 8}, func(r *Row) string { return r.Comm }},
	{column{title: "SOCKETS", right: true}, func(r *Row) string { return r.Sockets }},
	{column{title: rateTitle, right: true, dropOrder: 9}, func(r *Row) string { return r.Rate }},
	{column{title: "CLOSED", right: true, dropOrder: 4}, func(r *Row) string { return r.Closed }},
	{column{title: "UNACCEPTED", right: true, dropOrder: 3}, func(r *Row) string { return r.Unaccepted }},
	{column{title: "OTHER", minWidth: 5, dropOrder: 6}, func(r *Row) string { return r.Other }},
	{column{title: "OLDEST", right: true}, func(r *Row) string { return r.Oldest }},
	{column{title: "UNREAD", right: true, dropOrder: 2}, func(r *Row) string { return r.Unread }},
	{column{title: "FDS", right: true, dropOrder: 11}, func(r *Row) string { return r.FDs }},
	{column{title: leftTitle, right: true, dropOrder: 10}, func(r *Row) string { return r.Left }},
	{column{title: "SERVICE", minWidth: 9, dropOrder: 7}, func(r *Row) string { return r.Service }},
	{column{title: "REMOTE", minWidth: 16, dropOrder: 5}, func(r *Row) string { return r.Remote }},
}

// The columns of the trend. They exist if there is a History.
const (
	rateTitle = "RATE"
	leftTitle = "LEFT"
)

// The columns that say which program a process runs.
const (
	commTitle    = "COMM"
	commandTitle = "COMMAND"
)

// columns returns the columns of this report for some rows: one about the rules if there is a rules
// file, and one with the command lines if they are shown.
func (r *Report) columns(rows []Row) []processColumn {
	columns := slices.Clone(processColumns)
	if r.History == nil {
		columns = slices.DeleteFunc(columns, func(c processColumn) bool { return c.title == rateTitle || c.title == leftTitle })
	}
	if r.Rules != nil {
		columns = append(columns, processColumn{
			column{title: "RULE", minWidth: 8, dropOrder: 8},
			func(row *Row) string { return rules(r.Rules(&row.Holder.Process)) },
		})
	}
	if r.Commands == nil {
		return columns
	}
	of := column{title: commandTitle, minWidth: 20, dropOrder: 1}
	if alike(rows) {
		of.dropOrder = 0 // it begins with what is in COMM as a rule
		i := slices.IndexFunc(columns, func(c processColumn) bool { return c.title == commTitle })
		columns[i].dropOrder = 1
	}
	return append(columns, processColumn{of, func(row *Row) string { return command(r.Commands(&row.Holder.Process)) }})
}

// alike reports whether some rows differ only in their pids and numbers, as those of several
// interpreters do.
func alike(rows []Row) bool {
	seen := map[[2]string]bool{}
	for i := range rows {
		name := [2]string{rows[i].Group, rows[i].Comm}
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
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
	below := slices.Concat(verdictLines(rows), r.Summary(), selectionLines(r), ownerlessLines(r))
	if len(rows) == 0 {
		return writeLines(w, wrap(below, width))
	}
	var table grid
	columns := r.columns(rows)
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
	below = append(below, omittedLines(omitted)...)
	return writeLines(w, wrap(append([]string{""}, below...), width))
}

// omittedLines name the columns that a terminal has no room for.
func omittedLines(columns []string) []string {
	if len(columns) == 0 {
		return nil
	}
	return []string{"Columns omitted to fit the terminal: " + strings.Join(columns, ", ") + " (COLUMNS=250 or --output=json shows all)."}
}

// OwnerlessLine counts the sockets that are in no row of the table of processes, by what is known
// about their holders. It ends with how to see them, and is empty if there are none.
func (r *Report) OwnerlessLine(how string) string {
	counts := map[closewait.Owner]int{}
	for _, s := range r.Ownerless() {
		counts[s.Owner]++
	}
	var parts []string
	for _, owner := range ownersOfOwnerless {
		if n := counts[owner]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, OwnerWords[owner]))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Not in the table, of the ended connections: " + strings.Join(parts, ", ") + how + "."
}

func ownerlessLines(r *Report) []string {
	how := " (--sockets lists them)"
	if r.decoded != nil {
		how = ""
	}
	if line := r.OwnerlessLine(how); line != "" {
		return []string{line}
	}
	return nil
}

func writeLines(w io.Writer, lines []string) error {
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}
