package report

import (
	"fmt"

	"closewait_exporter/closewait"
)

// manyPorts is the share of the local ports from which on the summary has a line about them.
const manyPorts = 0.5

// portLines describes where leaked connections use many of the local ports to a remote end, worst
// process first.
func (r *Report) portLines() (lines []string) {
	described := map[closewait.PortUse]bool{} // processes can share the ports
	for _, h := range r.Listed {
		ratio, known := h.Ports.Ratio()
		if !known || ratio < manyPorts || described[h.Ports] {
			continue
		}
		described[h.Ports] = true
		lines = append(lines, fmt.Sprintf("Local ports from %s to %s: %d of %d (%s) in use by leaked connections, as of process %d. Without a free one connect() fails.",
			Text(h.Ports.Local.String()), Text(h.Ports.Remote.String()), h.Ports.Used, h.Ports.Usable, percent(uint64(h.Ports.Used), uint64(h.Ports.Usable)), h.ID.PID))
	}
	return lines
}

// jsonPorts describes the local ports to the remote end to which a process holds most sockets.
type jsonPorts struct {
	Local  string  `json:"local"`
	Remote string  `json:"remote"`
	Used   int     `json:"used"`
	Usable int     `json:"usable"`
	Ratio  float64 `json:"ratio"`
}

// newJSONPorts returns nil if nothing is known.
func newJSONPorts(u *closewait.PortUse) *jsonPorts {
	ratio, known := u.Ratio()
	if !known {
		return nil
	}
	return &jsonPorts{u.Local.String(), u.Remote.String(), u.Used, u.Usable, ratio}
}
