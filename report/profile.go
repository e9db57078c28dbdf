package report

import (
	"fmt"
	"io"
	"strconv"

	"github.com/google/pprof/profile"

	"closewait_exporter/origin"
)

// Profile writes the leaked sockets as a profile for pprof, compressed with gzip: a sample for each
// stack and set of labels, with the number of sockets and of their unread bytes.
func (o *Origin) Profile(w io.Writer) error {
	b := profileBuilder{
		profile: &profile.Profile{
			SampleType:        []*profile.ValueType{{Type: "sockets", Unit: "count"}, {Type: "bytes", Unit: "bytes"}},
			DefaultSampleType: "sockets",
			DurationNanos:     o.Trace.For.Nanoseconds(),
			Comments:          []string{"leaked sockets by the stack at which they were made"},
		},
		functions: map[origin.Frame]*profile.Location{}, mappings: map[string]*profile.Mapping{}, samples: map[string]*profile.Sample{},
	}
	for _, g := range origin.Groups(o.Trace) {
		for _, s := range g.Sockets {
			b.add(o.Trace, s)
		}
	}
	if err := b.profile.CheckValid(); err != nil {
		return fmt.Errorf("make profile: %w", err)
	}
	if err := b.profile.Write(w); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	return nil
}

// profileBuilder collects what a profile stores once.
type profileBuilder struct {
	profile   *profile.Profile
	functions map[origin.Frame]*profile.Location
	mappings  map[string]*profile.Mapping
	samples   map[string]*profile.Sample
}

// add adds a socket to its sample.
func (b *profileBuilder) add(t *origin.Trace, s *origin.Socket) {
	stack := s.Born.Stack
	if len(stack) == 0 {
		stack = []origin.Frame{{Function: "thread " + s.Thread}}
	}
	labels := map[string][]string{
		"comm": {t.Process.Comm}, "thread": {s.Thread}, "how": {string(s.Born.How)}, "direction": {s.Direction.String()},
		"port": {strconv.Itoa(int(s.Port))}, "pid": {strconv.Itoa(t.Process.ID.PID)}, "end": {string(s.End.How)},
	}
	var locations []*profile.Location
	key := fmt.Sprint(labels)
	for _, f := range stack {
		at := b.location(f)
		locations = append(locations, at)
		key += " " + strconv.FormatUint(at.ID, 10)
	}
	sample := b.samples[key]
	if sample == nil {
		sample = &profile.Sample{Location: locations, Label: labels, Value: make([]int64, len(b.profile.SampleType))}
		b.samples[key] = sample
		b.profile.Sample = append(b.profile.Sample, sample)
	}
	sample.Value[0]++
	sample.Value[1] += int64(s.Unread)
}

func (b *profileBuilder) location(f origin.Frame) *profile.Location {
	if at := b.functions[f]; at != nil {
		return at
	}
	name := f.Function
	if name == "" {
		name = f.String()
	}
	p := b.profile
	function := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name, SystemName: name, Filename: f.File}
	p.Function = append(p.Function, function)
	at := &profile.Location{ID: uint64(len(p.Location) + 1), Mapping: b.mapping(f.Module), Line: []profile.Line{{Function: function, Line: int64(f.Line)}}}
	p.Location = append(p.Location, at)
	b.functions[f] = at
	return at
}

// mapping says that names need not be searched for.
func (b *profileBuilder) mapping(module string) *profile.Mapping {
	if m := b.mappings[module]; m != nil {
		return m
	}
	p := b.profile
	m := &profile.Mapping{ID: uint64(len(p.Mapping) + 1), File: module, HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}
	p.Mapping = append(p.Mapping, m)
	b.mappings[module] = m
	return m
}
