package reapertest

import (
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestAProxyThatPassesHalfClosesOnIsNotEnded has programs that hold both halves of connections, one
// in CLOSE_WAIT and one in FIN_WAIT2, as a proxy does that waits for its server.
func TestAProxyThatPassesHalfClosesOnIsNotEnded(t *testing.T) {
	for _, scanner := range []string{"auto", "netlink"} {
		t.Run(scanner, func(t *testing.T) {
			waiting := startTarget(t, leaktest.Where{}, "relaying", "--fin-wait2=6")
			counted := startTarget(t, leaktest.Where{}, "relaying-counted", "--fin-wait2=6")
			e := enforcing(t, preamble+
				rule("relaying", waiting.exe, "when: {sockets: 3, age: 1s, fds: 1}\n"+anyPeer+soft)+
				rule("relaying-counted", counted.exe, "when: {sockets: 3, age: 1s, fds: 1, states: [close_wait, fin_wait2]}\n"+anyPeer+soft),
				"--collector.scanner="+scanner)
			e.awaitSeries(remediations("relaying-counted", "terminated"), 1)
			e.awaitSeries(decisions("relaying", "pending"), 5)
			if values := e.scrape(); values[decisions("relaying", "act")] != 0 || !waiting.alive() {
				t.Errorf("it was acted upon: %v", values.about(`rule="relaying"}`))
			}
		})
	}
}
