package report

import (
	"fmt"
	"io"
	"strings"

	"closewait_exporter/diagnose"
)

// diagnosisVersion changes when a field is removed or changes its meaning, not when one is added.
// docs/DIAGNOSE.md describes the fields.
const diagnosisVersion = 1

// Diagnosis is a verdict about a process, with the facts that it is from.
type Diagnosis struct {
	Facts   *diagnose.Facts
	Verdict diagnose.Verdict
}

// diagnosisColumns is the width of the text where the width of the terminal is not known.
const diagnosisColumns = 80

// Text writes the verdict for people, in lines of at most columns cells; 0 means 80. A command is
// never broken, so that it can be pasted.
func (d *Diagnosis) Text(w io.Writer, columns int) error {
	if columns <= 0 || columns > diagnosisColumns {
		columns = diagnosisColumns
	}
	p := &d.Facts.Holder.Process
	v := &d.Verdict
	lines := paragraph("PROCESS   ", fmt.Sprintf("%d %s, group %s, %s", p.ID.PID, Text(p.Comm), Text(p.Group()), d.Facts.Runtime), columns)
	lines = append(lines, paragraph("VERDICT   ", fmt.Sprintf("%s (%s)", v.Kind, v.Confidence), columns)...)
	lines = append(lines, paragraph("          ", Line(v.Summary), columns)...)
	title := "EVIDENCE  "
	for _, line := range append(append([]string{}, v.Evidence...), d.Facts.Missing...) {
		lines = append(lines, paragraph(title+"- ", Line(line), columns)...)
		title = "          "
	}
	if d.Facts.Peeked {
		lines = append(lines, d.unreadText(columns)...)
	}
	if v.Next != "" {
		lines = append(lines, "NEXT      "+Line(v.Next))
	}
	return writeLines(w, lines)
}

// paragraph wraps a text behind a title. Lines after the first are indented as far as the title.
func paragraph(title, text string, columns int) []string {
	return fill(title, strings.Repeat(" ", len(title)), text, columns)
}

// unreadWords are how many sockets of a kind a line of the text is about.
var unreadWords = map[diagnose.Whose]string{
	diagnose.UnreadOnEnded: "ended", diagnose.UnreadOfItself: "sent by itself", diagnose.UnreadOnOpen: "open",
}

// unreadText lists the most frequent of the unread lines.
func (d *Diagnosis) unreadText(columns int) []string {
	const most = 8
	unread := diagnose.UnreadLines(d.Facts)
	if len(unread) == 0 {
		return []string{"UNREAD    nothing"}
	}
	title, lines := "UNREAD    ", []string(nil)
	for _, u := range unread[:min(len(unread), most)] {
		lines = append(lines, paragraph(title+"- ", fmt.Sprintf("%d %s: %s", u.Sockets, unreadWords[u.Whose], Line(u.Line)), columns)...)
		title = "          "
	}
	if rest := len(unread) - most; rest > 0 {
		lines = append(lines, fmt.Sprintf("          - %d more lines, see --output=json", rest))
	}
	return lines
}

type jsonDiagnosis struct {
	Version int                  `json:"version"`
	Process jsonDiagnosedProcess `json:"process"`
	Verdict jsonVerdict          `json:"verdict"`
	Missing []untrusted          `json:"missing"`
	Threads []jsonThread         `json:"threads"`
	Omitted int                  `json:"threads_omitted"`
	Sockets jsonSocketCounts     `json:"sockets"`
	CPU     *jsonCPU             `json:"cpu"`
	Unread  []jsonUnreadLine     `json:"unread"`
}

type jsonDiagnosedProcess struct {
	PID     int              `json:"pid"`
	Start   uint64           `json:"start_ticks"`
	Comm    untrusted        `json:"comm"`
	Exe     untrusted        `json:"exe"`
	Group   untrusted        `json:"group"`
	Runtime diagnose.Runtime `json:"runtime"`
}

type jsonVerdict struct {
	Kind       diagnose.Kind       `json:"kind"`
	Wrong      bool                `json:"wrong"`
	Confidence diagnose.Confidence `json:"confidence"`
	Summary    untrusted           `json:"summary"`
	Evidence   []untrusted         `json:"evidence"`
	Next       untrusted           `json:"next"`
}

type jsonThread struct {
	TID    int       `json:"tid"`
	Name   untrusted `json:"name"`
	State  string    `json:"state"`
	Still  bool      `json:"still"`
	Call   string    `json:"call"`
	FDs    []int     `json:"fds"`
	Local  *string   `json:"local"`
	Remote *string   `json:"remote"`
	Kernel untrusted `json:"kernel"`
}

type jsonSocketCounts struct {
	Known       bool `json:"known"`
	Ended       int  `json:"ended"`
	Unaccepted  int  `json:"unaccepted"`
	Listening   int  `json:"listening"`
	Connecting  int  `json:"connecting"`
	Established int  `json:"established"`
}

type jsonCPU struct {
	Wanted    float64 `json:"wanted_ratio"`
	Waited    float64 `json:"waited_ratio"`
	Throttled float64 `json:"throttled_ratio"`
}

type jsonUnreadLine struct {
	Sockets int            `json:"sockets"`
	Whose   diagnose.Whose `json:"whose"`
	Line    untrusted      `json:"line"`
}

// JSON writes the verdict and the facts about threads. docs/DIAGNOSE.md describes the fields.
func (d *Diagnosis) JSON(w io.Writer) error {
	return writeJSON(w, d.document())
}

func (d *Diagnosis) document() jsonDiagnosis {
	f, v := d.Facts, &d.Verdict
	p := &f.Holder.Process
	out := jsonDiagnosis{
		Version: diagnosisVersion,
		Process: jsonDiagnosedProcess{p.ID.PID, p.ID.Start, untrusted(p.Comm), untrusted(p.Exe), untrusted(p.Group()), f.Runtime},
		Verdict: jsonVerdict{v.Kind, v.Wrong(), v.Confidence, untrusted(v.Summary), untrustedList(v.Evidence), untrusted(v.Next)},
		Missing: untrustedList(f.Missing),
		Threads: []jsonThread{},
		Omitted: f.ThreadsOmitted,
		Sockets: d.socketCounts(),
	}
	for i := range f.Threads {
		out.Threads = append(out.Threads, d.thread(&f.Threads[i]))
	}
	if f.CPU.Known {
		out.CPU = &jsonCPU{f.CPU.Wanted, f.CPU.Waited, f.CPU.Throttled}
	}
	if f.Peeked {
		out.Unread = []jsonUnreadLine{}
	}
	for _, u := range diagnose.UnreadLines(f) {
		out.Unread = append(out.Unread, jsonUnreadLine{u.Sockets, u.Whose, untrusted(u.Line)})
	}
	return out
}

func (d *Diagnosis) thread(t *diagnose.Thread) jsonThread {
	out := jsonThread{
		TID: t.TID, Name: untrusted(t.Name), State: string(rune(t.State)), Still: t.Still, Call: t.Call,
		FDs: append([]int{}, t.FDs...), Kernel: untrusted(t.Kernel),
	}
	if t.Socket >= 0 {
		s := &d.Facts.Sockets[t.Socket]
		local, remote := s.Local.String(), s.Remote.String()
		out.Local, out.Remote = &local, &remote
	}
	return out
}

func (d *Diagnosis) socketCounts() jsonSocketCounts {
	n := jsonSocketCounts{Known: d.Facts.SocketsKnown, Ended: d.Facts.Holder.Ended.Len(), Unaccepted: d.Facts.Holder.Unaccepted.Len()}
	for _, s := range d.Facts.Sockets {
		switch s.State {
		case diagnose.Listening:
			n.Listening++
		case diagnose.Connecting:
			n.Connecting++
		case diagnose.Established:
			n.Established++
		}
	}
	return n
}

func untrustedList(lines []string) []untrusted {
	list := make([]untrusted, len(lines))
	for i, line := range lines {
		list[i] = untrusted(line)
	}
	return list
}
