package report

import (
	"fmt"
	"strings"

	"closewait_exporter/closewait"
)

// kernelServices are the services of the kernel itself, or the servers of its clients, by port. A
// port that lockd has chosen (nlockmgr in rpcinfo -p) is not among them.
var kernelServices = map[uint16]string{
	111: "rpcbind", 139: "smb", 445: "smb", 860: "iscsi", 988: "lustre", 2049: "nfs", 3260: "iscsi", 3300: "ceph", 4420: "nvme",
	6789: "ceph", 10809: "nbd", 20048: "mountd",
}

// kernelLines names the services of the sockets that no process holds, most sockets first: those of
// the kernel itself, or on their way from process to process.
func (r *Report) kernelLines() []string {
	var sockets []*closewait.Socket
	for _, s := range r.Ownerless() {
		if s.Owner == closewait.OwnedByKernel {
			sockets = append(sockets, s)
		}
	}
	if len(sockets) == 0 {
		return nil
	}
	counts := closewait.NewHolding(sockets)
	var parts []string
	for _, service := range counts.Services {
		part := fmt.Sprintf("%d %s %s", service.Sockets, direction(service.Direction), port(service.Port))
		if name := kernelServices[service.Port]; name != "" {
			part += " (kernel: " + name + ")"
		}
		parts = append(parts, part)
	}
	return []string{"Held by no process: " + strings.Join(parts, ", ") + "."}
}
