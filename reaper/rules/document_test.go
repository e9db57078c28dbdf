package rules

import (
	"strings"
	"testing"

	"closewait_exporter/reaper/step"
)

func TestParseFindsTheLineOfWhatIsNotYAML(t *testing.T) {
	const advice = ": check indentation, quotes and brackets here and in the line above"
	cases := map[string]struct{ text, want string }{
		"a key indented too little": {"rules:\n  - name: web\n   match: {}\n",
			"rules.yml:3: not YAML: did not find expected '-' indicator" + advice},
		"a key indented too much": {"rules:\n  - name: web\n      match: {}\n",
			"rules.yml:3: not YAML: mapping values are not allowed in this context" + advice},
		"a bracket that is never closed, many lines above the end": {strings.Replace(smallest, "{age: 60s}", "{age: 60s", 1) + strings.Repeat("# end\n", 9),
			"rules.yml:4: not YAML: did not find expected ',' or '}'" + advice},
		"a quote that is never closed, many lines above the end": {strings.Replace(smallest, "/bin/web", "'/bin/web", 1) + strings.Repeat("# end\n", 9),
			"rules.yml:3: not YAML: found unexpected end of stream" + advice},
		"a tab":                      {"rules:\n\t- name: web\n", "rules.yml:2: not YAML: found character that cannot start any token" + advice},
		"an alias of nothing":        {smallest + "    ignore: *none\n", "rules.yml:7: not YAML: unknown anchor 'none' referenced" + advice},
		"a control character":        {smallest + "# \x01\n", "rules.yml:7: not YAML: control characters are not allowed" + advice},
		"bytes that are not UTF-8":   {smallest + "\n\n# \xff\n", "rules.yml:9: not YAML: invalid leading UTF-8 octet" + advice},
		"a mistake in the only line": {"rules: [", "rules.yml:1: not YAML: did not find expected node content" + advice},
		"a mistake in a second document": {smallest + "---\n'",
			"rules.yml:8: not YAML: found unexpected end of stream" + advice},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { wantError(t, c.text, c.want) })
	}
}

func TestParseWantsOneDocument(t *testing.T) {
	const second = ": a second document begins here: only one is read, so put everything into the first and remove the ---"
	cases := map[string]struct{ text, want string }{
		"nothing":                      {"", `rules.yml:1: the file is empty: write "rules:" and at least one rule below it`},
		"only a comment":               {"# rules\n", `rules.yml:1: the file is empty: write "rules:" and at least one rule below it`},
		"an empty document":            {"---\n", "rules.yml:1: rules: there is no rule: write at least one, or leave out --reaper.config"},
		"two documents":                {smallest + "---\n" + smallest, "rules.yml:7" + second},
		"a second document of nothing": {smallest + "---\n", "rules.yml:7" + second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { wantError(t, c.text, c.want) })
	}
	if _, err := Parse("rules.yml", []byte("---\n"+smallest+"...\n")); err != nil {
		t.Errorf("one document between its marks: %v", err)
	}
}

func wantError(t *testing.T, text, want string) {
	t.Helper()
	_, err := Parse("rules.yml", []byte(text))
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s\n%s", err, want, text)
	}
}

func TestParseSaysAllThatIsWrongInTheOrderOfTheLines(t *testing.T) {
	wantError(t, `rules:
  - match: {exe: "("}
    when: &soon {age: 1, sockets: 0}
    steps: [reboot: {}]
    name: late
  - name: other
    when: *soon
    shade: red
interval: never
limits: {actions: many}
`, `rules.yml:2: rule late: match.exe: "(" is not a regular expression: missing closing ): `+"`(`"+`: see https://github.com/google/re2/wiki/Syntax
rules.yml:3: rule late: when.sockets: 0 sockets are no evidence: write 1 or more
rules.yml:3: rule late: when.age: "1" is not a duration: write numbers with units, such as 90s, 10m, 1h30m or 2d
rules.yml:3: rule other: when.sockets: 0 sockets are no evidence: write 1 or more
rules.yml:3: rule other: when.age: "1" is not a duration: write numbers with units, such as 90s, 10m, 1h30m or 2d
rules.yml:4: rule late: step 1: unknown step "reboot": known are `+strings.Join(step.Names(), ", ")+`
rules.yml:8: rule other: unknown key "shade": known here are name, mode, match, ignore, when, steps, cooldown, accept_remote_trigger, accept_no_restart, window
rules.yml:9: interval: "never" is not a duration: write numbers with units, such as 90s, 10m, 1h30m or 2d
rules.yml:10: limits.actions: "many" is not a count: write a whole number, such as 2`)
}

// TestTheSearchForALineEnds: if it would take too long, the line is the one where package yaml gave
// up.
func TestTheSearchForALineEnds(t *testing.T) {
	wantError(t, "rules: '"+strings.Repeat("\n  - name: x", 20_000),
		"rules.yml:20001: not YAML: found unexpected end of stream: check indentation, quotes and brackets here and in the line above")
}
