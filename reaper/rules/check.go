package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/document"
	"closewait_exporter/reaper/step"
)

// Check reads the rules file at path and writes a summary with the defaults filled in, and warnings
// about content that is valid but probably unintended. It returns the error of Load, or of writing
// to out. trusted returns an error if other users can change a file.
func Check(path string, trusted func(path string) error, out io.Writer) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	config, p, err := parse(path, data)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	describeConfig(&text, path, config)
	for _, w := range append(p.untrusted(path, config, trusted), p.Warnings()...) {
		fmt.Fprintf(&text, "%s:%d: warning: %s\n", w.File, w.Line, w.Text)
	}
	_, err = out.Write(text.Bytes())
	return err
}

// untrusted warns about a rules file and guards that other users can change. With --reaper.enforce
// they are refused.
func (p *parser) untrusted(path string, c *Config, trusted func(path string) error) (warnings document.Problems) {
	warn := func(line int, format string, args ...any) {
		warnings = append(warnings, document.Problem{File: path, Line: line, Text: fmt.Sprintf(format, args...)})
	}
	if err := trusted(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		warn(1, "other users can change the rules, and so decide which programs are run and ended, so --reaper.enforce refuses them: %v", err)
	}
	for i := range c.Rules {
		for n, s := range c.Rules[i].Steps {
			guard, ok := s.(step.Run)
			if !ok {
				continue
			}
			if err := trusted(guard.Command[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				warn(p.ruleLines[c.Rules[i].Name], "rule %s: step %d (run): other users can change the program, so --reaper.enforce refuses the rule: %v", c.Rules[i].Name, n+1, err)
			}
		}
	}
	return warnings
}

func describeConfig(out io.Writer, path string, c *Config) {
	names := make([]string, len(c.Rules))
	for i := range c.Rules {
		names[i] = fmt.Sprintf("%s %s", c.Rules[i].Name, c.Rules[i].Mode)
	}
	plural := "s"
	if len(names) == 1 {
		plural = ""
	}
	fmt.Fprintf(out, "%s: valid: %d rule%s (%s)\n", path, len(names), plural, strings.Join(names, ", "))
	fmt.Fprintf(out, "  every %s, at most %d actions per %s\n", c.Interval, c.Limits.Actions, c.Limits.Per)
	for i := range c.Rules {
		describeRule(out, &c.Rules[i])
	}
}

func describeRule(out io.Writer, r *Rule) {
	var conditions []string
	for i := range condition.All {
		c := &condition.All[i]
		if c.Key == "" {
			continue
		}
		if value := c.Describe(&r.When); value != "" {
			conditions = append(conditions, c.Key+": "+value)
		}
	}
	steps := make([]string, len(r.Steps))
	for i, s := range r.Steps {
		steps[i] = s.String()
	}
	fmt.Fprintf(out, "  %s: {%s}, then %s; cooldown %s\n", r.Name, strings.Join(conditions, ", "), strings.Join(steps, ", "), r.Cooldown)
}
