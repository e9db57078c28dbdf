package scan

import (
	"slices"

	"closewait_exporter/closewait"
)

// finWait2Sockets selects the sockets in FIN_WAIT2 that are worth a search for their holders: those
// that the last scan has read too, and all in the first scan. Clients and proxies have others for
// milliseconds all the time, and a healthy host must not pay for reading all descriptors.
type finWait2Sockets struct {
	before, now map[closewait.SocketID]struct{} // read by the last scan and by this one; nil before the first
}

// begin begins a scan, and returns a function that selects its sockets.
func (f *finWait2Sockets) begin(owners *ownerTable) (settled func(*closewait.SocketSample) bool) {
	f.before, f.now = f.now, map[closewait.SocketID]struct{}{}
	return func(row *closewait.SocketSample) bool {
		f.now[row.ID] = struct{}{}
		if f.before == nil {
			return true
		}
		_, again := f.before[row.ID]
		return again || owners.find(row.Inode, row.ID.Cookie) != nil // a dump can miss a socket
	}
}

// withoutUnheld removes the sockets in FIN_WAIT2 that no process is known to hold.
func (f *finWait2Sockets) withoutUnheld(sockets []closewait.SocketSample) []closewait.SocketSample {
	if len(f.now) == 0 { // there can be 100,000 others
		return sockets
	}
	return slices.DeleteFunc(sockets, func(row closewait.SocketSample) bool {
		return row.State == closewait.FinWait2 && len(row.Holders) == 0
	})
}
