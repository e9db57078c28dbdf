package deploy

import (
	"slices"
	"strings"
	"testing"
)

// capabilityNumbers are those of linux/capability.h that are given to an exporter.
var capabilityNumbers = map[string]int{
	"CAP_DAC_READ_SEARCH": 2, "CAP_KILL": 5, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24,
}

// capabilitiesOf lists those that a unit or drop-in gives, sorted.
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
		t.Errorf("%s gives %v and allows %v, want the same", path, ambient, bounding)
	}
	slices.Sort(ambient)
	return ambient
}
