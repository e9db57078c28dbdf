package report

import (
	"encoding/json"
	"io"
	"slices"
	"time"

	"closewait_exporter/closewait"
)

// evidenceVersion changes when a field is removed or changes its meaning, not when one is added.
// docs/EVIDENCE.md describes the fields.
const evidenceVersion = 1

// The bounds of a document: a process chooses how many sockets and threads it has. A document has
// less than 4 MiB.
const (
	maxSocketBytes = 1 << 20
	maxThreadBytes = 2 << 20
)

// Evidence is what is known about a process at one moment.
type Evidence struct {
	Report    *Report           // without a selection
	Holder    *closewait.Holder // the process, with its sockets
	Diagnosis *Diagnosis        // nil if there is none; Missing says why
	Resources closewait.Resources
	Case      []byte // JSON about the remediation; empty: there is none
	Missing   []string
}

type jsonEvidence struct {
	Version        int              `json:"version"`
	Taken          time.Time        `json:"taken"`
	Case           json.RawMessage  `json:"case"` // null if it was made by hand
	Scanner        jsonScanner      `json:"scanner"`
	Process        jsonProcess      `json:"process"`
	Diagnosis      *jsonDiagnosis   `json:"diagnosis"` // null if not known
	Sockets        []jsonSocket     `json:"sockets"`
	SocketsOmitted int              `json:"sockets_omitted"`
	FDKinds        []jsonDescriptor `json:"fd_kinds"`
	FDsOmitted     int              `json:"fds_omitted"`
	Limits         []jsonLimit      `json:"limits"`
	Cgroups        []jsonCgroup     `json:"cgroups"`
	Missing        []untrusted      `json:"missing"`
}

type jsonDescriptor struct {
	Kind  untrusted `json:"kind"`
	Count int       `json:"count"`
}

type jsonLimit struct {
	Name untrusted `json:"name"`
	Soft *uint64   `json:"soft"` // null: unlimited
	Hard *uint64   `json:"hard"` // the same
	Unit untrusted `json:"unit"`
}

type jsonCgroup struct {
	Path   untrusted            `json:"path"`
	Values map[string]untrusted `json:"values"`
}

// JSON writes the document. docs/EVIDENCE.md describes the fields.
func (e *Evidence) JSON(w io.Writer) error {
	out := jsonEvidence{
		Version: evidenceVersion, Taken: e.Report.View.Taken.UTC(),
		Scanner: newJSONScanner(&e.Report.Visibility),
		FDKinds: []jsonDescriptor{}, FDsOmitted: e.Resources.DescriptorsOmitted, Limits: []jsonLimit{}, Cgroups: []jsonCgroup{},
		Missing: untrustedList(slices.Concat(e.Missing, e.Resources.Missing)),
	}
	row := newRow(e.Report, e.Holder)
	out.Process = jsonProcessOf(e.Report, &row)
	if len(e.Case) > 0 {
		out.Case = asciiOf(e.Case)
	}
	out.Diagnosis = e.diagnosis()
	out.Sockets, out.SocketsOmitted = e.sockets()
	for _, d := range e.Resources.Descriptors {
		out.FDKinds = append(out.FDKinds, jsonDescriptor{untrusted(d.Kind), d.Count})
	}
	for _, l := range e.Resources.Limits {
		out.Limits = append(out.Limits, jsonLimit{untrusted(l.Name), l.Soft, l.Hard, untrusted(l.Unit)})
	}
	for _, c := range e.Resources.Cgroups {
		values := map[string]untrusted{}
		for name, value := range c.Values {
			values[name] = untrusted(value)
		}
		out.Cgroups = append(out.Cgroups, jsonCgroup{untrusted(c.Path), values})
	}
	return writeJSON(w, out)
}

// diagnosis is the diagnosis with as many threads as there is room for.
func (e *Evidence) diagnosis() *jsonDiagnosis {
	if e.Diagnosis == nil {
		return nil
	}
	d := e.Diagnosis.document()
	d.Unread = nil // payload is in no file
	n := fitting(len(d.Threads), maxThreadBytes, func(i int) any { return d.Threads[i] })
	d.Threads, d.Omitted = d.Threads[:n], d.Omitted+len(d.Threads)-n
	return &d
}

// sockets are as many sockets as there is room for, ended ones first, each kind oldest first.
func (e *Evidence) sockets() (list []jsonSocket, omitted int) {
	processes, all := e.Report.processes(), socketsOf(e.Holder)
	list = []jsonSocket{}
	n := fitting(len(all), maxSocketBytes, func(i int) any {
		list = append(list, newJSONSocket(all[i], e.Report.View.Taken, processes))
		return list[i]
	})
	return list[:n], len(all) - n
}

// fitting returns how many of the first n items take at most a number of bytes.
func fitting(n, bytes int, item func(i int) any) int {
	for i := range n {
		encoded, err := json.MarshalIndent(item(i), "      ", "  ")
		if bytes -= len(encoded); err != nil || bytes < 0 {
			return i
		}
	}
	return n
}
