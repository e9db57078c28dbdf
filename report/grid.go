package report

import (
	"io"
	"slices"
	"strings"
)

// column describes a column of a grid.
type column struct {
	title     string
	right     bool // right-aligned, for numbers
	keepEnd   bool // a shortened text loses its beginning: the end of an address is its port
	minWidth  int  // cells to which a narrow terminal may shorten it; 0 = never shortened
	dropOrder int  // if shortening is not enough, the lowest is dropped first, after columns that say nothing; 0 = never dropped
}

// grid is a table whose columns are as wide as their content.
type grid struct {
	columns []column
	rows    [][]string
}

// gap is the number of cells between two columns.
const gap = 2

// write writes the grid in at most width cells per line; 0 means no limit. It returns the titles
// of the columns that were dropped.
func (g *grid) write(w io.Writer, width int) (omitted []string, err error) {
	widths := g.widths()
	for width > 0 && total(widths) > width && !g.shrink(widths, total(widths)-width) {
		next := g.nextToDrop(widths)
		if next < 0 {
			break // the terminal wraps the lines
		}
		omitted = append(omitted, g.columns[next].title)
		g.restore(widths)
		widths[next] = dropped
	}
	titles := make([]string, len(g.columns))
	for i, c := range g.columns {
		titles[i] = c.title
	}
	for _, row := range append([][]string{titles}, g.rows...) {
		if _, err := io.WriteString(w, g.line(row, widths)); err != nil {
			return omitted, err
		}
	}
	return omitted, nil
}

// dropped is the width of a column that is not written.
const dropped = -1

func (g *grid) widths() []int {
	widths := make([]int, len(g.columns))
	g.restore(widths)
	return widths
}

// restore sets each column that is not dropped to its full width.
func (g *grid) restore(widths []int) {
	for i, c := range g.columns {
		if widths[i] == dropped {
			continue
		}
		widths[i] = cellsOf(c.title)
		for _, row := range g.rows {
			widths[i] = max(widths[i], cellsOf(row[i]))
		}
	}
}

// shrink takes cells away, one at a time from the widest column that can be shortened. It reports
// whether that was enough.
func (g *grid) shrink(widths []int, excess int) bool {
	for ; excess > 0; excess-- {
		widest := -1
		for i, c := range g.columns {
			if c.minWidth > 0 && widths[i] > max(c.minWidth, cellsOf(c.title)) && (widest < 0 || widths[i] > widths[widest]) {
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
	next, order := -1, 0
	for i, c := range g.columns {
		if widths[i] == dropped || c.dropOrder == 0 {
			continue
		}
		mine := c.dropOrder
		if g.saysNothing(i) {
			mine -= len(g.columns)
		}
		if next < 0 || mine < order {
			next, order = i, mine
		}
	}
	return next
}

// saysNothing reports whether a column has only zeros and dashes.
func (g *grid) saysNothing(i int) bool {
	return !slices.ContainsFunc(g.rows, func(row []string) bool { return row[i] != "0" && row[i] != "-" })
}

func (g *grid) line(row []string, widths []int) string {
	var line strings.Builder
	for i, width := range widths {
		if width == dropped {
			continue
		}
		if line.Len() > 0 {
			line.WriteString(strings.Repeat(" ", gap))
		}
		cell := cut(row[i], width)
		if g.columns[i].keepEnd {
			cell = cutBeginning(row[i], width)
		}
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
		if width != dropped {
			sum += width + gap
		}
	}
	return sum
}
