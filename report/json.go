package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf16"

	"closewait_exporter/closewait"
)

// schemaVersion changes when a field is removed or changes its meaning, not when one is added.
// docs/LIST.md describes the fields.
const schemaVersion = 2

type jsonReport struct {
	Version       int           `json:"version"`
	Taken         time.Time     `json:"taken"`
	ScanSeconds   float64       `json:"scan_seconds"`
	MinAgeSeconds float64       `json:"min_age_seconds"`
	Scanner       jsonScanner   `json:"scanner"`
	Host          jsonHost      `json:"host"`
	Hidden        jsonHidden    `json:"hidden"`
	Processes     []jsonProcess `json:"processes"`
	Summary       []untrusted   `json:"summary"` // for people
	Unseen        []untrusted   `json:"unseen"`  // the same
	Sockets       *[]jsonSocket `json:"sockets,omitempty"`
}

type jsonScanner struct {
	Name              string        `json:"name"`
	Fallback          string        `json:"fallback"`
	NetworkNamespaces string        `json:"network_namespaces"`
	Missing           []jsonMissing `json:"missing"`
}

type jsonMissing struct {
	Capability string `json:"capability"`
	Lost       string `json:"lost"`
	Hides      bool   `json:"hides_sockets"`
}

type jsonHost struct {
	Sockets                 map[string]map[string]int `json:"sockets"` // by family and owner
	OwnerCoverageRatio      float64                   `json:"owner_coverage_ratio"`
	OwnerlessSockets        map[string]int            `json:"ownerless_sockets"` // by owner
	NetworkNamespaces       int                       `json:"network_namespaces"`
	UnreadNetworkNamespaces int                       `json:"unread_network_namespaces"`
	DeniedProcesses         int                       `json:"denied_processes"`
	States                  map[string]*int           `json:"states"`          // null: not known
	CompleteStates          []string                  `json:"complete_states"` // in others only some sockets are seen
}

// ownersOfOwnerless are the owners of the sockets that no process is known to hold. Unaccepted ones
// are among them where the holder of their listener is not known.
var ownersOfOwnerless = []closewait.Owner{closewait.OwnedByListener, closewait.OwnedByKernel, closewait.OwnerUnresolved}

type jsonHidden struct {
	Processes      int `json:"processes"`
	Sockets        int `json:"sockets"`
	MinorProcesses int `json:"minor_processes"`
	NotSelected    int `json:"not_selected"`
}

// JSON writes all properties of the listed processes and, on request, of their sockets and the
// sockets without a known holder.
func (r *Report) JSON(w io.Writer, sockets bool) error {
	out := r.json(r.Rows())
	if sockets {
		list := r.jsonSockets()
		out.Sockets = &list
	}
	return writeJSON(w, out)
}

func writeJSON(w io.Writer, document any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// jsonProcessOf is a process of a Report, with what only the Report knows about it.
func jsonProcessOf(r *Report, row *Row) jsonProcess {
	p := newJSONProcess(row, r.View.Taken)
	p.States, p.Trend = newJSONStates(r.seen(), statesOf(row.Holder)), newJSONTrend(r.History, row)
	p.History, p.Verdict = newJSONHistory(r.History, row.Holder.ID), newJSONShortVerdict(r.Verdicts[row.Holder.ID])
	if r.Commands != nil {
		of := untrusted(command(r.Commands(&row.Holder.Process)))
		p.Command = &of
	}
	if r.Rules != nil {
		p.Rules = append([]string{}, r.Rules(&row.Holder.Process)...) // without a match an empty list, not null
	}
	return p
}

func (r *Report) json(rows []Row) *jsonReport {
	if r.decoded != nil {
		return r.decoded.only(rows)
	}
	hidden := countHidden(r.View, r.Listed)
	out := &jsonReport{
		Version:       schemaVersion,
		Taken:         r.View.Taken.UTC(),
		ScanSeconds:   r.View.Took.Seconds(),
		MinAgeSeconds: r.MinAge.Seconds(),
		Scanner:       newJSONScanner(&r.Visibility),
		Host:          r.jsonHost(),
		Hidden:        jsonHidden{Processes: hidden.processes, Sockets: hidden.sockets, MinorProcesses: hidden.minor, NotSelected: len(r.Listed) - len(rows)},
		Processes:     []jsonProcess{},
		Summary:       untrustedList(r.Summary()),
		Unseen:        untrustedList(r.Unseen()),
	}
	for i := range rows {
		out.Processes = append(out.Processes, jsonProcessOf(r, &rows[i]))
	}
	return out
}

func newJSONScanner(v *closewait.Visibility) jsonScanner {
	s := jsonScanner{Name: v.Scanner, Fallback: v.Fallback, NetworkNamespaces: v.Namespaces, Missing: []jsonMissing{}}
	for _, missing := range v.Missing {
		s.Missing = append(s.Missing, jsonMissing{missing.Capability, missing.Lost, missing.HidesSockets})
	}
	return s
}

func (r *Report) jsonHost() jsonHost {
	byFamily := map[string]map[string]int{}
	for _, family := range closewait.Families {
		byFamily[family.String()] = map[string]int{}
		for _, owner := range closewait.Owners {
			byFamily[family.String()][owner.String()] = r.View.Sockets.Of(family, owner)
		}
	}
	complete := []string{}
	for _, s := range allStates {
		if r.seen().all(s) {
			complete = append(complete, s.String())
		}
	}
	ownerless := map[string]int{}
	for _, owner := range ownersOfOwnerless {
		ownerless[owner.String()] = 0
	}
	for _, s := range r.Ownerless() {
		ownerless[s.Owner.String()]++
	}
	return jsonHost{
		Sockets:                 byFamily,
		OwnerlessSockets:        ownerless,
		OwnerCoverageRatio:      r.View.Coverage(),
		NetworkNamespaces:       r.View.Namespaces,
		UnreadNetworkNamespaces: r.View.UnreadableNamespaces,
		DeniedProcesses:         r.View.Denied,
		States:                  newJSONStates(r.seen(), r.hostStates()),
		CompleteStates:          complete,
	}
}

func newJSONStates(seen seenStates, counts stateCounts) map[string]*int {
	byName := map[string]*int{}
	for _, s := range allStates {
		byName[s.String()] = seen.known(s, counts[s])
	}
	return byName
}

// untrusted is a string that a process or a user has chosen. It is written in ASCII, because JSON
// may contain characters that a terminal interprets. Invalid UTF-8 becomes U+FFFD.
type untrusted string

// MarshalJSON implements json.Marshaler.
func (n untrusted) MarshalJSON() ([]byte, error) {
	encoded, err := json.Marshal(string(n))
	return asciiOf(encoded), err
}

// asciiOf escapes the characters of JSON without spaces outside of strings that are not in ASCII.
func asciiOf(encoded []byte) json.RawMessage {
	ascii := make([]byte, 0, len(encoded))
	for _, r := range string(encoded) {
		if r >= ' ' && r <= '~' {
			ascii = append(ascii, byte(r))
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			ascii = append(ascii, `\u`...)
			ascii = append(ascii, strconv.FormatUint(0x10000+uint64(unit), 16)[1:]...)
		}
	}
	return ascii
}
