package rules

import (
	"strings"
	"testing"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/document"
)

func TestParseRefusesKeys(t *testing.T) {
	checkRefusals(t, map[string]refusal{
		"a rule that is a word, and a key at the wrong level": {"rules:", "rules:\n  - foo\nx:",
			"rules.yml:2: rule 1: must have keys below it, indented further: name, mode, match, ignore, when, steps, cooldown, accept_remote_trigger, accept_no_restart, window\n" +
				`rules.yml:3: unknown key "x": known here are trusted_peers, protect, limits, interval, fleet, rules`},
		"a list where keys belong": {smallest, "- rules\n",
			"rules.yml:1: must have keys below it, indented further: trusted_peers, protect, limits, interval, fleet, rules"},
		"a merge key, a key that is a list, a key that is nothing": {"rules:", "<<: {interval: 5s}\n? [a]\n: b\n~: c\nrules:",
			"rules.yml:1: " + document.MergeAdvice + "\n" +
				`rules.yml:2: unknown key "": known here are trusted_peers, protect, limits, interval, fleet, rules` + "\n" +
				`rules.yml:4: unknown key "~": known here are trusted_peers, protect, limits, interval, fleet, rules`},
		"merge keys in every kind of section": {smallest, `common: &c {age: 60s}
rules:
  - <<: {name: web}
    match: {<<: {exe: /bin/web}}
    when:
      <<: *c
    steps:
      - <<: {signal: {name: TERM}}
      - signal: {<<: {name: TERM}}
`,
			`rules.yml:1: unknown key "common": known here are trusted_peers, protect, limits, interval, fleet, rules` + "\n" +
				"rules.yml:3: rule 1: " + document.MergeAdvice + "\n" +
				"rules.yml:4: rule 1: match: " + document.MergeAdvice + "\n" +
				"rules.yml:6: rule 1: when: " + document.MergeAdvice + "\n" +
				"rules.yml:8: rule 1: step 1: " + document.MergeAdvice + "\n" +
				"rules.yml:9: rule 1: step 2 (signal): " + document.MergeAdvice},
		"a key that is called like a merge key": {"age: 60s", "age: 60s, '<<': 1",
			`rules.yml:4: rule web: when: unknown key "<<": known here are ` + strings.Join(condition.Keys(), ", ")},
		"a key given twice": {"age: 60s", "age: 60s, age: 70s",
			"rules.yml:4: rule web: when.age: given before, in line 4: remove one of the two"},
		"a misspelt key": {"age: 60s", "age: 60s, ages: 70s",
			`rules.yml:4: rule web: when: unknown key "ages": known here are ` + strings.Join(condition.Keys(), ", ")},
		"a misspelt section is said once, not also as missing": {"when:", "wen:",
			`rules.yml:4: rule web: unknown key "wen": known here are name, mode, match, ignore, when, steps, cooldown, accept_remote_trigger, accept_no_restart, window`},
		"a rule without a name": {"name: web", "mode: dry_run",
			"rules.yml:2: rule 1: name: is missing: give the rule a name, such as tomcat-leak; metrics and the audit file use it"},
		"a name with a space": {"name: web", "name: a b",
			`rules.yml:2: rule 1: name: "a b" is no name for a rule: write at most 64 letters, digits, dots, dashes and underscores, a letter or digit first`},
		"two rules with one name": {"- destroy: {}", "- destroy: {}\n  - name: web\n    match: {exe: /bin/web}\n    when: {age: 60s}\n    steps: [destroy: {}]",
			"rules.yml:7: rule web: name: the rule in line 2 has the same name: choose another"},
		"a mode that is not known": {"name: web", "name: web\n    mode: dry-run",
			`rules.yml:3: rule web: mode: "dry-run" is not known: write dry_run or enforce`},
		"no match": {"    match: {exe: /bin/web}\n", "",
			"rules.yml:2: rule web: match: is empty and would select every process of the host: give at least one of exe, command, unit, user, container"},
		"a match without keys": {"match: {exe: /bin/web}", "match: {}",
			"rules.yml:3: rule web: match: is empty and would select every process of the host: give at least one of exe, command, unit, user, container"},
		"a match of empty expressions": {"exe: /bin/web", "exe: '', unit: ''",
			"rules.yml:3: rule web: match: is empty and would select every process of the host: give at least one of exe, command, unit, user, container"},
		"a broken expression": {"exe: /bin/web", "exe: 'a(b'",
			"rules.yml:3: rule web: match.exe: \"a(b\" is not a regular expression: missing closing ): `a(b`: see https://github.com/google/re2/wiki/Syntax"},
		"an expression that would swallow its anchor": {"exe: /bin/web", "exe: '\\Qb'",
			`rules.yml:3: rule web: match.exe: "\\Qb" cannot be anchored: end \Q with \E, or write a simpler expression`},
		"no when": {"    when: {age: 60s}\n", "",
			"rules.yml:2: rule web: when.age: is missing: say for how long a connection must have been over, such as 60s"},
		"no age": {"age: 60s", "sockets: 3",
			"rules.yml:4: rule web: when.age: is missing: say for how long a connection must have been over, such as 60s"},
		"age 0": {"age: 60s", "age: 0",
			"rules.yml:4: rule web: when.age: without an age every connection counts that is just being closed: write such as 60s"},
		"a duration without a unit": {"age: 60s", "age: 60",
			`rules.yml:4: rule web: when.age: "60" is not a duration: write numbers with units, such as 90s, 10m, 1h30m or 2d`},
		"a negative duration": {"age: 60s", "age: -60s",
			`rules.yml:4: rule web: when.age: "-60s" is negative: remove the minus`},
		"a duration of more than a year": {"age: 60s", "age: 366d",
			`rules.yml:4: rule web: when.age: "366d" is longer than a year: write 365d or less`},
		"a key without a value": {"{age: 60s}", "\n      age:\n      for: ~",
			"rules.yml:5: rule web: when.age: has no value: write one, or remove the key\n" +
				"rules.yml:6: rule web: when.for: has no value: write one, or remove the key"},
	})
}
