package app

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"closewait_exporter/report"
)

// watch lists the processes again and again until ctx ends. It redraws a terminal; elsewhere it
// writes one table, or one JSON document, after the other.
func (l *lister) watch(ctx context.Context) error {
	ticks := time.NewTicker(l.options.list.watch)
	defer ticks.Stop()
	first := true
	for {
		r, err := l.next(ctx, first)
		switch {
		case ctx.Err() != nil:
			return nil // interrupted, which is how it is meant to end
		case err != nil && first:
			return err
		case err != nil:
			fmt.Fprintf(l.stderr, "%s: error: %v\n", program, err) // the next scan may succeed
		default:
			if err := l.show(r, first); err != nil {
				return err
			}
			first = false
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *lister) show(r *report.Report, first bool) error {
	var text bytes.Buffer
	switch {
	case l.options.list.output == jsonOutput:
		if err := l.write(r, &text, 0); err != nil {
			return err
		}
	case l.out.screen != nil:
		return l.redraw(r, first)
	default:
		l.writeHeading(r, &text)
		if err := l.write(r, &text, 0); err != nil {
			return err
		}
		text.WriteString("\n")
	}
	if _, err := text.WriteTo(l.out); err != nil {
		return err
	}
	if first {
		return r.Notes(l.stderr, 0)
	}
	return nil
}

func (l *lister) writeHeading(r *report.Report, text *bytes.Buffer) {
	fmt.Fprintf(text, "%s UTC, every %s\n", r.View.Taken.UTC().Format(time.DateTime), l.options.list.watch)
}

// redraw shows as many processes as the terminal has room for.
func (l *lister) redraw(r *report.Report, first bool) error {
	columns, lines := l.out.size()
	for {
		text, err := l.frame(r, columns)
		if err != nil {
			return err
		}
		const cursor = 1 // its line below the text
		excess := bytes.Count(text, []byte("\n")) + cursor - lines
		shown := r.Shown()
		if lines == 0 || excess <= 0 || shown <= 1 {
			return l.out.draw(firstLines(text, lines-cursor), first)
		}
		const note = 1 // the line that counts the processes that are not shown
		r.Selection.Top = max(shown-excess-note, 1)
	}
}

// frame is the content of the screen.
func (l *lister) frame(r *report.Report, columns int) ([]byte, error) {
	var text bytes.Buffer
	l.writeHeading(r, &text)
	if err := l.write(r, &text, columns); err != nil {
		return nil, err
	}
	if err := r.Notes(&text, columns); err != nil {
		return nil, err
	}
	var escaped bytes.Buffer
	_, err := text.WriteTo(report.NewTerminalWriter(&escaped))
	return escaped.Bytes(), err
}

// firstLines returns at most n lines of a text; all if n is not positive. A terminal that has no
// room for one process and the summary loses the end of the summary.
func firstLines(text []byte, n int) []byte {
	end := 0
	for range n {
		next := bytes.IndexByte(text[end:], '\n')
		if next < 0 {
			return text
		}
		end += next + 1
	}
	if n <= 0 {
		return text
	}
	return text[:end]
}
