package rules

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"closewait_exporter/reaper/condition"
)

// Check reads the rules file at path and writes a summary with the defaults filled in, and warnings
// about content that is valid but probably unintended. If the file has errors, it returns them
// together with the warnings, as document.Problems. It also returns the error of reading the file
// or of writing to out.
func Check(path string, h Host, out io.Writer) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	config, p := parse(path, data)
	p.warnAboutHost(path, h)
	if len(p.Problems()) > 0 {
		return p.All()
	}
	var text bytes.Buffer
	describeConfig(&text, path, config)
	for _, w := range p.All() {
		fmt.Fprintln(&text, w)
	}
	_, err = out.Write(text.Bytes())
	return err
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
	if slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.WritesEvidence() }) {
		fmt.Fprintln(out, "  evidence steps need a directory: start the exporter with --reaper.evidence-dir=DIR")
	}
}

func describeRule(out io.Writer, r *Rule) {
	var conditions, beside []string
	for i := range condition.All {
		c := &condition.All[i]
		if c.Key == "" {
			continue
		}
		switch value := c.Describe(&r.When); {
		case value == "":
		case c.OfRule:
			beside = append(beside, "; "+c.Key+" "+value)
		default:
			conditions = append(conditions, c.Key+": "+value)
		}
	}
	steps := make([]string, len(r.Steps))
	for i, s := range r.Steps {
		steps[i] = s.String()
	}
	fmt.Fprintf(out, "  %s: {%s}, then %s; cooldown %s%s\n", r.Name, strings.Join(conditions, ", "), strings.Join(steps, ", "), r.Cooldown, strings.Join(beside, ""))
}
