package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestListShowsEveryStateOrSaysThatItIsNotSeen lists a process with sockets in every state with
// every scanner. Each half-closed connection is a pair of both ends, as a proxy holds them.
func TestListShowsEveryStateOrSaysThatItIsNotSeen(t *testing.T) {
	leaktest.RequireRoot(t)
	has := map[string]int{"close_wait": 5 + 6, "closed": 7, "fin_wait2": 6, "unconnected": 3 + 4}
	server := leaktest.Start(t, "--sockets=5", "--closed=7", "--fin-wait2=6", "--refused=3", "--bare=4")
	for _, scanner := range []string{"ebpf", "netlink", "procfs"} {
		t.Run(scanner, func(t *testing.T) {
			arguments := []string{"--collector.min-age=0s", "--collector.scanner=" + scanner, fmt.Sprint("--pid=", server.PID)}
			text, _ := listOutput(t, nil, append(arguments, "--output=json")...)
			var got struct {
				Host struct {
					Complete []string `json:"complete_states"`
				}
				Processes []struct {
					Sockets  int
					States   map[string]*int
					Forwards bool `json:"forwards_half_closes"`
				}
			}
			if err := json.Unmarshal(text, &got); err != nil || len(got.Processes) != 1 {
				t.Fatalf("%v in\n%s", err, text)
			}
			p := got.Processes[0]
			ended := 0
			for state, n := range has {
				known, complete := p.States[state], slices.Contains(got.Host.Complete, state)
				switch {
				case complete && (known == nil || *known != n), known != nil && *known > n:
					t.Errorf("%s: %v, want %d (complete: %t)", state, known, n, complete)
				case known != nil && (state == "close_wait" || state == "closed"):
					ended += *known
				}
			}
			if pairs := p.States["fin_wait2"]; p.Sockets != ended || p.Forwards != (pairs != nil && 2**pairs >= ended) {
				t.Errorf("%d sockets, want %d, and forwards half-closes: %t", p.Sockets, ended, p.Forwards)
			}
			table, _ := listOutput(t, nil, arguments...)
			if says, all := strings.Contains(string(table), "scanner does not see "), len(got.Host.Complete) == len(has); says == all {
				t.Errorf("whether all states are seen (%t) is not said in\n%s", all, table)
			}
		})
	}
}
