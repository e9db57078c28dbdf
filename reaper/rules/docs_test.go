package rules

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/step"
)

const (
	documentPath = "../../docs/REAPER.md"
	examplePath  = "../../deploy/reaper.example.yml"
)

func readDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// firstColumn returns the names in the first column of the table with that heading, in order.
func firstColumn(t *testing.T, heading string) []string {
	t.Helper()
	_, table, found := strings.Cut(readDocument(t), "\n"+heading+"\n|---|")
	if !found {
		t.Fatalf("%s has no table %q", documentPath, heading)
	}
	var names []string
	for i, line := range strings.Split(table, "\n") {
		if i == 0 {
			continue // the rest of the rule below the heading
		}
		cell, ok := strings.CutPrefix(line, "| `")
		if !ok {
			return names
		}
		name, _, _ := strings.Cut(cell, "`")
		names = append(names, name)
	}
	return names
}

// allKeys are all keys of a rules file that have a value of their own.
func allKeys() []string {
	keys := []string{"trusted_peers", "interval", "rules", "name", "mode", "steps", "cooldown", "accept_remote_trigger", "accept_no_restart"}
	under := func(section string, names []string) {
		for _, name := range names {
			keys = append(keys, section+"."+name)
		}
	}
	under("protect", protectKeys)
	under("limits", limitsKeys)
	under("fleet.brake", brakeKeys)
	under("fleet.slots", slotsKeys)
	under("match", matchKeys)
	under("ignore", ignoreKeys)
	under("when", condition.Keys())
	under("window", condition.WindowKeys)
	for _, kind := range step.Kinds {
		under("steps."+kind.Name, kind.Keys)
	}
	slices.Sort(keys)
	return keys
}

func TestNoKeyIsLeftOutOfThisTest(t *testing.T) {
	for _, key := range slices.Concat(configKeys, ruleKeys) {
		if !slices.ContainsFunc(allKeys(), func(k string) bool { return k == key || strings.HasPrefix(k, key+".") }) {
			t.Errorf("%s is in no list", key)
		}
	}
}

func TestTheDocumentHasEveryKey(t *testing.T) {
	documented := firstColumn(t, "| key | type | default | meaning |")
	slices.Sort(documented)
	if diff := cmp.Diff(allKeys(), documented); diff != "" {
		t.Errorf("%s (-code +document):\n%s", documentPath, diff)
	}
}

func TestTheDocumentHasTheRightDefaults(t *testing.T) {
	text := readDocument(t)
	for key, value := range map[string]any{
		"limits.actions": defaultActions, "limits.per": defaultPer, "interval": defaultInterval, "mode": DryRun, "when.sockets": 2,
		"when.direction": condition.AnyDirection, "fleet.brake.settle": defaultSettle, "fleet.brake.timeout": defaultBrakeTimeout, "fleet.slots.hold": defaultHold, "steps.run.timeout": 30 * time.Second, "steps.restart_unit.timeout": 3 * time.Minute, "steps.evict.wait": 2 * time.Minute, "steps.signal.wait": 10 * time.Second, "cooldown": defaultCooldown,
	} {
		short := strings.TrimSuffix(fmt.Sprint(value), "m0s")
		if short != fmt.Sprint(value) {
			short += "m"
		}
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(key) + "` \\|[^|]*\\| `" + short + "` \\|")
		if !row.MatchString(text) {
			t.Errorf("%s: the default of %s is %s", documentPath, key, short)
		}
	}
}

func TestTheDocumentHasEveryStep(t *testing.T) {
	if diff := cmp.Diff(step.Names(), firstColumn(t, "| step | what it does | what to know |")); diff != "" {
		t.Errorf("%s (-code +document):\n%s", documentPath, diff)
	}
}

func TestTheRulesInTheDocumentAreValid(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readDocument(t), -1)
	if len(blocks) < 5 {
		t.Errorf("%d rules files in %s", len(blocks), documentPath)
	}
	for i, block := range blocks {
		if _, err := Parse(fmt.Sprintf("block %d", i+1), []byte(block[1])); err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
	}
}

// TestTheAnswerOfCheckConfigInTheDocument compares the output for the first rules file of the
// document with the output that is shown there.
func TestTheAnswerOfCheckConfigInTheDocument(t *testing.T) {
	text := readDocument(t)
	first := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(text)[1]
	answer, err := check(t, first, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(answer, "FILE", "rules.yml"); !strings.Contains(text, "check-config rules.yml\n"+want+"```") {
		t.Errorf("%s does not show what check-config says:\n%s", documentPath, want)
	}
}

func TestTheExampleIsValidAndOnlyADryRun(t *testing.T) {
	config, err := Load(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	for i := range config.Rules {
		if config.Rules[i].Mode != DryRun {
			t.Errorf("rule %s acts: a copy of the example must not act", config.Rules[i].Name)
		}
	}
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range allKeys() {
		if name := key[strings.LastIndexByte(key, '.')+1:]; !strings.Contains(string(text), name+":") {
			t.Errorf("%s does not show %s", examplePath, key)
		}
	}
	for _, kind := range step.Names() {
		if !strings.Contains(string(text), "- "+kind+":") {
			t.Errorf("%s does not show the step %s", examplePath, kind)
		}
	}
}
