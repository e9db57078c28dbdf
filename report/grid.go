package report

import (
	"io"
	"strings"
)

// column is one of a grid.
type column struct {
	title string
	right bool // aligned, as numbers are
	least int  // cells to which it may be cut where the terminal is narrow; 0 = it is never cut
	drop  int  // the lowest is left out first when cutting does not help; 0 = it is never left out
}

// grid is a table whose columns are as wide as what stands in them.
type grid struct {
	columns []column
	rows    [][]string
}

// gap is the number of cells between two columns.
const gap = 2

// write writes the grid into so many cells; 0 means no limit. It returns the titles of the columns
// that were left out.
func (g *grid) write(w io.Writer, width int) (leftOut []string, err error) {
	widths := g.widths()
	for width > 0 && total(widths) > width && !g.shrink(widths, total(widths)-width) {
		next := g.nextToDrop(widths)
		if next < 0 {
			break // the terminal has to wrap the lines
		}
		leftOut = append(leftOut, g.columns[next].title)
		g.restore(widths)
		widths[next] = none
	}
	titles := make([]string, len(g.columns))
	for i, c := range g.columns {
		titles[i] = c.title
	}
	for _, row := range append([][]string{titles}, g.rows...) {
		if _, err := io.WriteString(w, g.line(row, widths)); err != nil {
			return leftOut, err
		}
	}
	return leftOut, nil
}

// none is the width of a column that is left out.
const none = -1

func (g *grid) widths() []int {
	widths := make([]int, len(g.columns))
	g.restore(widths)
	return widths
}

// restore gives each column that is not left out its full width.
func (g *grid) restore(widths []int) {
	for i, c := range g.columns {
		if widths[i] == none {
			continue
		}
		widths[i] = cellsOf(c.title)
		for _, row := range g.rows {
			widths[i] = max(widths[i], cellsOf(row[i]))
		}
	}
}

// shrink takes cells away, one at a time from the widest column that can spare one. It tells
// whether that was enough.
func (g *grid) shrink(widths []int, excess int) bool {
	for ; excess > 0; excess-- {
		widest := -1
		for i, c := range g.columns {
			if c.least > 0 && widths[i] > max(c.least, cellsOf(c.title)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}

func (g *grid) nextToDrop(widths []int) int {
	next := -1
	for i, c := range g.columns {
		if widths[i] != none && c.drop > 0 && (next < 0 || c.drop < g.columns[next].drop) {
			next = i
		}
	}
	return next
}

func (g *grid) line(row []string, widths []int) string {
	var line strings.Builder
	for i, width := range widths {
		if width == none {
			continue
		}
		if line.Len() > 0 {
			line.WriteString(strings.Repeat(" ", gap))
		}
		cell := cut(row[i], width)
		padding := strings.Repeat(" ", width-cellsOf(cell))
		if g.columns[i].right {
			cell = padding + cell
		} else {
			cell += padding
		}
		line.WriteString(cell)
	}
	return strings.TrimRight(line.String(), " ") + "\n"
}

func total(widths []int) int {
	sum := -gap
	for _, width := range widths {
		if width != none {
			sum += width + gap
		}
	}
	return sum
}
