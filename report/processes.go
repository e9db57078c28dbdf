package report

import (
	"io"
	"slices"
	"strings"

	"closewait_exporter/closewait"
)

// processColumns of the table of processes. What is left out first on a narrow terminal is what
// helps least to choose whom to look at.
var processColumns = []column{
	{title: "GROUP", least: 12},
	{title: "PID", right: true},
	{title: "COMM", least: 8},
	{title: "SOCKETS", right: true},
	{title: "UNACCEPTED", right: true, drop: 3},
	{title: "DEFUNCT", right: true, drop: 6},
	{title: "OLDEST", right: true},
	{title: "UNREAD", right: true, drop: 2},
	{title: "FDS", right: true, drop: 7},
	{title: "SERVICE", least: 9, drop: 5},
	{title: "REMOTE", least: 16, drop: 4},
}

// ruleColumn stands last where there is a rules file.
var ruleColumn = column{title: "RULE", least: 8, drop: 8}

// columns of this report. That of the defunct sockets is the first to go while nobody has any.
func (r *Report) columns() []column {
	columns := slices.Clone(processColumns)
	if !slices.ContainsFunc(r.Listed, func(h *closewait.Holder) bool { return h.Defunct.Len() > 0 }) {
		i := slices.IndexFunc(columns, func(c column) bool { return c.title == "DEFUNCT" })
		columns[i].drop = 1
	}
	if r.Rules != nil {
		columns = append(columns, ruleColumn)
	}
	return columns
}

// rules enumerates those that match a process.
func rules(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ",")
}

// Processes writes a line for each process listed, worst first, into so many cells (0 = no limit),
// and what can be said of the host below them.
func (r *Report) Processes(w io.Writer, width int) error {
	if len(r.Listed) == 0 {
		return writeLines(w, append(r.Summary(), r.withoutRow()...))
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
	leftOut, err := table.write(w, width)
	if err != nil {
		return err
	}
	lines := append([]string{""}, r.Summary()...)
	lines = append(lines, r.withoutRow()...)
	if len(leftOut) > 0 {
		lines = append(lines, "Left out for want of room: "+strings.Join(leftOut, ", ")+" (COLUMNS=150 or --output=json shows all).")
	}
	return writeLines(w, lines)
}

// withoutRow tells of the sockets that no process can be blamed for.
func (r *Report) withoutRow() []string {
	sockets := len(r.Ownerless())
	if sockets == 0 {
		return nil
	}
	return []string{"Without a line: " + count(sockets, "socket") + " whose holder is not known (--sockets lists them)."}
}

func writeLines(w io.Writer, lines []string) error {
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}
