package kernel

import (
	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
	"closewait_exporter/kernel/sockdiag"
)

// mostConfirmed bounds how many sockets are asked for one by one in a scan. A dump misses a few; where
// so many are missing a process has ended, and nearly all have left.
const mostConfirmed = 10_000

// confirm reports which sockets are still in CLOSE_WAIT by asking for each in the given namespaces. A
// dump walks a hash table that changes under it and can miss the same socket twice; a question for one
// socket cannot.
func (s *Scanner) confirm(missed []closewait.Facts, in []host.Namespace) map[closewait.SocketID]bool {
	still := map[closewait.SocketID]bool{}
	sockets := map[closewait.NetNS][]*closewait.Facts{}
	for i := range missed[:min(len(missed), mostConfirmed)] {
		if f := &missed[i]; f.ID.Cookie != 0 { // else it is from a table, and cannot be asked for
			sockets[f.ID.NetNS] = append(sockets[f.ID.NetNS], f)
		}
	}
	ask := func(ns host.Namespace, err error) {
		if err == nil {
			err = confirmHere(sockets[ns.ID], still)
		}
		s.host.Errors.Add(host.StageSockets, err)
		if err != nil && !host.Vanished(err) {
			takeForThere(sockets[ns.ID], still)
		}
	}
	var away []host.Namespace
	for _, ns := range in {
		switch {
		case sockets[ns.ID] == nil:
		case ns.Own:
			ask(ns, nil)
		default:
			away = append(away, ns)
		}
	}
	if s.host.Capable(unix.CAP_SYS_ADMIN) {
		s.host.InNamespaces(away, ask)
	}
	return still
}

// takeForThere is for sockets that could not be asked for: what is not known to have left is asked for
// again by the next scan.
func takeForThere(sockets []*closewait.Facts, still map[closewait.SocketID]bool) {
	for _, socket := range sockets {
		if _, asked := still[socket.ID]; !asked {
			still[socket.ID] = true
		}
	}
}

// confirmHere asks for sockets in the network namespace of the calling thread.
func confirmHere(sockets []*closewait.Facts, still map[closewait.SocketID]bool) error {
	conn, err := sockdiag.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, socket := range sockets {
		state, err := conn.State(socket)
		if err != nil {
			return err
		}
		still[socket.ID] = state == host.TCPCloseWait
	}
	return nil
}
