package report

import (
	"fmt"
	"io"

	"closewait_exporter/closewait"
	"closewait_exporter/origin"
)

// originVersion changes when a field is removed or changes its meaning, not when one is added.
// docs/ORIGIN.md describes the fields.
const originVersion = 1

// Origin shows which code made the leaked sockets of a process.
type Origin struct{ Trace *origin.Trace }

// Text writes the result for people, in lines of at most columns cells; 0 means 80.
func (o *Origin) Text(w io.Writer, columns int) error {
	if columns <= 0 || columns > diagnosisColumns {
		columns = diagnosisColumns
	}
	t := o.Trace
	p := &t.Process
	lines := paragraph("PROCESS   ", fmt.Sprintf("%d %s, group %s, traced for %s", p.ID.PID, Text(p.Comm), Text(p.Group()), Duration(t.For)), columns)
	lines = append(lines, paragraph("LEAKED    ", o.summary(), columns)...)
	if groups := origin.Groups(t); len(groups) > 0 {
		lines = append(lines, "SHARE     SOCKETS, AND THE CODE THAT MADE THEM")
		for _, group := range groups {
			lines = append(lines, o.group(&group, columns)...)
		}
	}
	title := "NOTE      "
	for _, note := range append(origin.Advice(t), t.Missing...) {
		lines = append(lines, paragraph(title+"- ", Line(note), columns)...)
		title = originIndent
	}
	return writeLines(w, lines)
}

// originIndent is as wide as a title.
const originIndent = "          "

// summary counts the sockets.
func (o *Origin) summary() string {
	t := o.Trace
	text := fmt.Sprintf("%d of %s that it made during the trace and still has.", len(t.Sockets)+t.Unknown, Count(t.Made, "socket"))
	if t.Unknown > 0 {
		text += fmt.Sprintf(" Of %d the call was not seen.", t.Unknown)
	}
	if t.Before > 0 {
		text += fmt.Sprintf(" It leaked %d before the trace, whose origin cannot be known.", t.Before)
	}
	return text
}

func (o *Origin) group(g *origin.Group, columns int) []string {
	title := fmt.Sprintf("%4.0f%%     ", 100*g.Share)
	lines := o.chain(fmt.Sprintf("%s%d ", title, len(g.Sockets)), &g.Born, g.Place, g.Thread, columns)
	lines = append(lines, paragraph(originIndent, o.made(g), columns)...)
	for _, end := range g.Ends {
		if end.Call.How == origin.NotSeen {
			lines = append(lines, paragraph(originIndent, fmt.Sprintf("%d: end not read", end.Count), columns)...)
			continue
		}
		title := fmt.Sprintf("%s%d: end seen in a %s: ", originIndent, end.Count, end.Call.How)
		lines = append(lines, o.chain(title, &end.Call, end.Place, g.Thread, columns)...)
	}
	return lines
}

// chain shows a stack behind a title. Lines break between calls.
func (o *Origin) chain(title string, c *origin.Call, place int, thread string, columns int) []string {
	calls, more := o.Trace.Chain(c, place)
	if len(calls) == 0 {
		calls = []string{"thread " + thread}
	}
	for i := range calls {
		calls[i] = Text(calls[i])
		if i > 0 {
			calls[i] = "<- " + calls[i]
		}
	}
	if more {
		calls = append(calls, "<- ...")
	}
	lines := []string{title + calls[0]}
	for _, call := range calls[1:] {
		last := len(lines) - 1
		if cellsOf(lines[last])+1+cellsOf(call) <= columns {
			lines[last] += " " + call
		} else {
			lines = append(lines, originIndent+"  "+call)
		}
	}
	return lines
}

// made says how the sockets of a group were made.
func (o *Origin) made(g *origin.Group) string {
	verb := map[origin.How]string{
		origin.Connect: "opened", origin.Accept: "accepted",
		origin.Read: "first seen in a read", origin.Write: "first seen in a write",
	}[g.Born.How]
	first := g.Sockets[0]
	text := fmt.Sprintf("%s, %s", verb, directionText(first.Direction))
	if first.Port != 0 {
		text += fmt.Sprintf(" port %d", first.Port)
		if ports := o.ports(g); ports > 1 {
			text += fmt.Sprintf(" and %d more", ports-1)
		}
	}
	return text + fmt.Sprintf(", thread %s", Text(g.Thread))
}

func directionText(d closewait.Direction) string {
	if d == closewait.UnknownDirection {
		return "direction not known"
	}
	return d.String()
}

func (o *Origin) ports(g *origin.Group) int {
	ports := map[uint16]bool{}
	for _, s := range g.Sockets {
		ports[s.Port] = true
	}
	return len(ports)
}

type jsonOrigin struct {
	Version int               `json:"version"`
	Process jsonOriginProcess `json:"process"`
	Seconds float64           `json:"traced_seconds"`
	Leaked  int               `json:"leaked"`
	Made    int               `json:"made"`
	Unknown int               `json:"unknown"`
	Before  int               `json:"leaked_before"`
	Groups  []jsonGroup       `json:"groups"`
	Advice  []untrusted       `json:"advice"`
	Missing []untrusted       `json:"missing"`
	Hooks   []string          `json:"hooks"`
}

type jsonOriginProcess struct {
	PID   int       `json:"pid"`
	Start uint64    `json:"start_ticks"`
	Comm  untrusted `json:"comm"`
	Exe   untrusted `json:"exe"`
	Group untrusted `json:"group"`
}

type jsonGroup struct {
	Share     float64     `json:"share"`
	Sockets   int         `json:"sockets"`
	Bytes     uint64      `json:"unread_bytes"`
	How       origin.How  `json:"how"`
	Direction string      `json:"direction"`
	Port      uint16      `json:"port"`
	Thread    untrusted   `json:"thread"`
	Place     int         `json:"place"`
	Stack     []jsonFrame `json:"stack"`
	Cut       bool        `json:"cut"`
	Ends      []jsonEnd   `json:"ends"`
}

type jsonEnd struct {
	Sockets int         `json:"sockets"`
	How     origin.How  `json:"how"`
	Place   int         `json:"place"`
	Stack   []jsonFrame `json:"stack"`
	Cut     bool        `json:"cut"`
}

type jsonFrame struct {
	Function untrusted       `json:"function"`
	File     untrusted       `json:"file"`
	Line     int             `json:"line"`
	Module   untrusted       `json:"module"`
	Language origin.Language `json:"language"`
}

// JSON writes the result with whole stacks. docs/ORIGIN.md describes the fields.
func (o *Origin) JSON(w io.Writer) error {
	t := o.Trace
	p := &t.Process
	out := jsonOrigin{
		Version: originVersion,
		Process: jsonOriginProcess{p.ID.PID, p.ID.Start, untrusted(p.Comm), untrusted(p.Exe), untrusted(p.Group())},
		Seconds: t.For.Seconds(), Leaked: len(t.Sockets) + t.Unknown, Made: t.Made, Unknown: t.Unknown, Before: t.Before,
		Groups: []jsonGroup{}, Advice: untrustedList(origin.Advice(t)), Missing: untrustedList(t.Missing),
		Hooks: append([]string{}, t.Attached...),
	}
	for _, g := range origin.Groups(t) {
		out.Groups = append(out.Groups, groupJSON(&g))
	}
	return writeJSON(w, out)
}

func groupJSON(g *origin.Group) jsonGroup {
	first := g.Sockets[0]
	out := jsonGroup{
		Share: g.Share, Sockets: len(g.Sockets), How: g.Born.How, Direction: first.Direction.String(), Port: first.Port,
		Thread: untrusted(g.Thread), Place: g.Place, Stack: framesJSON(g.Born.Stack), Cut: g.Born.Cut, Ends: []jsonEnd{},
	}
	for _, s := range g.Sockets {
		out.Bytes += s.Unread
	}
	for _, e := range g.Ends {
		out.Ends = append(out.Ends, jsonEnd{e.Count, e.Call.How, e.Place, framesJSON(e.Call.Stack), e.Call.Cut})
	}
	return out
}

func framesJSON(stack []origin.Frame) []jsonFrame {
	list := make([]jsonFrame, len(stack))
	for i, f := range stack {
		list[i] = jsonFrame{untrusted(f.Function), untrusted(f.File), f.Line, untrusted(f.Module), f.Language}
	}
	return list
}
