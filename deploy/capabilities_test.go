package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// capabilityNumbers are the numbers, from linux/capability.h, of the capabilities that an exporter
// gets.
var capabilityNumbers = map[string]int{
	"CAP_DAC_READ_SEARCH": 2, "CAP_KILL": 5, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24,
	"CAP_PERFMON": 38, "CAP_BPF": 39,
}

// capabilitiesOf returns the capabilities that a unit or drop-in gives, sorted.
func capabilitiesOf(t *testing.T, path string) []string {
	t.Helper()
	given := map[string][]string{}
	for line := range strings.Lines(read(t, path)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			given[key] = append(given[key], strings.Fields(value)...)
		}
	}
	ambient, bounding := given["AmbientCapabilities"], given["CapabilityBoundingSet"]
	if len(ambient) == 0 || !slices.Equal(ambient, bounding) {
		t.Errorf("%s gives %v and allows %v, want equal lists", path, ambient, bounding)
	}
	slices.Sort(ambient)
	return ambient
}

func TestDocumentedCapabilitiesAreThoseOfTheUnits(t *testing.T) {
	alone, bpf, added := capabilitiesOf(t, unit), capabilitiesOf(t, ebpf), capabilitiesOf(t, dropIn)
	exporter, reaper, found := strings.Cut(read(t, "../SECURITY.md"), "\nA reaper in enforce mode needs more.")
	if !found {
		t.Fatal("no part about the reaper in SECURITY.md")
	}
	_, inComment, _ := strings.Cut(read(t, dropIn), "\n#AmbientCapabilities=")
	inComment, _, _ = strings.Cut(inComment, "\n")
	inThree, inTwo := documentedFlags(t)
	tests := map[string]struct{ got, want []string }{
		"the table of the exporter in SECURITY.md": {inTable(exporter), slices.Concat(alone, bpf)},
		"the table of the reaper in SECURITY.md":   {inTable(reaper), append(added, inComment, "CAP_SYS_PTRACE")},
		"docker run in docs/INSTALL.md":            {inCommand(inThree), alone},
		"docker run with BPF in docs/INSTALL.md":   {inCommand(inTwo), bpf},
		"the manual":                               {mentioned(read(t, "man/sections.1")), alone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			slices.Sort(test.got)
			slices.Sort(test.want)
			if got := slices.Compact(test.got); !slices.Equal(got, test.want) {
				t.Errorf("has %v, want %v", got, test.want)
			}
		})
	}
}

func mentioned(text string) []string {
	return regexp.MustCompile(`\bCAP_[A-Z_]+\b`).FindAllString(text, -1)
}

// inTable returns the capabilities in the first column of tables.
func inTable(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			names = append(names, mentioned(cells[1])...)
		}
	}
	return names
}

// inCommand returns the capabilities that a command adds.
func inCommand(flags []string) []string {
	var names []string
	for i, flag := range flags {
		if flag == "--cap-add" {
			names = append(names, "CAP_"+flags[i+1])
		}
	}
	return names
}
