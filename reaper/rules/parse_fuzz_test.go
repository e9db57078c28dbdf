package rules

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/step"
)

// FuzzParse: every file is either refused with problems in order of their lines, or has all
// properties that the reaper relies on.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("testdata/every-key.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add(smallest)
	f.Add(strings.Replace(smallest, "age: 60s", "age: 60s, fds: 80%, direction: outbound, states: [close_wait, fin_wait2]", 1))
	f.Add("rules: &a [*a]")
	f.Add("? {a: b}\n: !!binary c\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		config, err := Parse("rules.yml", []byte(text))
		if err != nil {
			checkProblems(t, err, text)
			return
		}
		for _, why := range unsound(config) {
			t.Error(why)
		}
		again, err := Parse("rules.yml", []byte(text))
		if diff := cmp.Diff(config, again, sameConfig); diff != "" || err != nil {
			t.Errorf("the second time: %v\n%s", err, diff)
		}
	})
}

func checkProblems(t *testing.T, err error, text string) {
	var problems document.Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("%#v is not Problems", err)
	}
	last := 1
	for _, p := range problems {
		if p.Line < last || p.Line > len(text)+1 || p.Text == "" { // YAML knows more ends of lines than one
			t.Errorf("%#v after line %d of %q", p, last, text)
		}
		last = p.Line
	}
}

// unsound returns the properties that a valid Config must have and this one lacks.
func unsound(c *Config) (why []string) {
	must := func(holds bool, format string, args ...any) {
		if !holds {
			why = append(why, fmt.Sprintf(format, args...))
		}
	}
	must(len(c.Rules) > 0, "no rules")
	must(c.Limits.Actions > 0 && c.Limits.Per > 0 && c.Interval >= minInterval, "limits %v, interval %v", c.Limits, c.Interval)
	names := map[string]bool{}
	for i := range c.Rules {
		r := &c.Rules[i]
		must(r.Name != "" && !names[r.Name], "name %q", r.Name)
		names[r.Name] = true
		must(r.When.Age > 0 && r.When.For >= 0 && r.When.Sockets > 0 && r.Cooldown > 0, "when %+v, cooldown %v", r.When, r.Cooldown)
		must(r.When.PeerShare >= 0 && r.When.PeerShare <= 1 && r.When.FDs.Ratio >= 0 && r.When.FDs.Ratio <= 1, "when %+v", r.When)
		m := r.Match
		must(m.Exe != nil || m.Command != nil || m.Unit != nil || m.User != nil || m.Container != nil, "empty match")
		must(len(r.Steps) > 0, "no steps")
		ending := slices.IndexFunc(r.Steps, func(s step.Step) bool { return s.Traits().EndsProcess })
		guard := slices.IndexFunc(r.Steps, func(s step.Step) bool { return s.Traits().Guards })
		must(ending < 0 || r.When.FDs != condition.Threshold{} || guard >= 0 && guard < ending || r.AcceptRemoteTrigger, "remote trigger %+v", r)
		kill := slices.IndexFunc(r.Steps, func(s step.Step) bool { return s.Traits().Kills })
		must(kill < 0 || kill == len(r.Steps)-1, "steps after KILL")
		for _, s := range r.Steps {
			switch s := s.(type) {
			case step.Run:
				must(len(s.Command) > 0 && strings.HasPrefix(s.Command[0], "/") && s.Timeout > 0, "run %+v", s)
			case step.Signal:
				must(s.Name != "" && s.Wait > 0, "signal %+v", s)
			}
		}
	}
	return why
}
