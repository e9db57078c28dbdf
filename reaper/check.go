package reaper

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// writableByOthers are the permissions that let others than its owner change a file.
const writableByOthers = 0o022

// Check reads the rules file at path and writes what it comes to, defaults filled in, and what in it
// is valid and perhaps not meant. The error is that of Load, or of out.
func Check(path string, out io.Writer) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	config, warnings, err := parse(path, data)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&writableByOthers != 0 {
		warnings = append(Problems{{path, 1, "others than the owner can write to the file, and so decide what is run and ended: chmod go-w"}}, warnings...)
	}
	var text bytes.Buffer
	describeConfig(&text, path, config)
	for _, w := range warnings {
		fmt.Fprintf(&text, "%s:%d: warning: %s\n", w.File, w.Line, w.Text)
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
}

func describeRule(out io.Writer, r *Rule) {
	w := &r.When
	conditions := []string{
		fmt.Sprintf("sockets: %d", w.Sockets), fmt.Sprintf("age: %s", w.Age), fmt.Sprintf("for: %s", w.For), fmt.Sprintf("direction: %s", w.Direction),
	}
	if w.FDs != (Threshold{}) {
		conditions = append(conditions, "fds: "+w.FDs.String())
	}
	if w.PeerShare > 0 {
		conditions = append(conditions, "peer_share: "+percent(w.PeerShare))
	}
	if w.IncludeDefunct {
		conditions = append(conditions, "include_defunct: true")
	}
	steps := make([]string, len(r.Steps))
	for i := range r.Steps {
		steps[i] = strings.TrimSpace(string(r.Steps[i].Kind) + " " + r.Steps[i].Signal)
	}
	fmt.Fprintf(out, "  %s: {%s}, then %s; cooldown %s\n", r.Name, strings.Join(conditions, ", "), strings.Join(steps, ", "), r.Cooldown)
}

// String is the threshold as it stands in a rules file.
func (t Threshold) String() string {
	if t.Ratio > 0 {
		return percent(t.Ratio)
	}
	return strconv.FormatUint(t.Count, 10)
}

// percent rounds away what binary fractions cannot hold.
func percent(ratio float64) string { return strconv.FormatFloat(ratio*100, 'g', 10, 64) + "%" }
