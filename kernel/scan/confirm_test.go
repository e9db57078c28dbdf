package scan

import (
	"maps"
	"slices"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

func TestSingleSocketsAreConfirmed(t *testing.T) {
	leaktest.RequireRoot(t)
	here := leaktest.Start(t, "--sockets=4", "--unaccepted=2", "--outbound=2", "--established=3", "--listen=127.0.0.1:0", "--listen=[::1]:0")
	mapped := leaktest.Start(t, "--sockets=2", "--listen=[::]:0", "--connect=127.0.0.1")
	there := leaktest.Where{NetNS: true}.Start(t, "--sockets=3")
	s := openNetlinkHere(t, Options{})
	snapshot, err := s.Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var known []closewait.Facts
	want := map[closewait.SocketID]bool{}
	for _, row := range snapshot.Sockets {
		known = append(known, row.Facts)
		want[row.ID] = true
	}
	const all = 4 + 2 + 2 + 2 + 3
	if got := s.missed.ask(known, s.buffers.reached); len(known) != all || !maps.Equal(got, want) {
		t.Errorf("of %d sockets, want %d, %d are confirmed: %v", len(known), all, len(got), got)
	}

	other := known[0]
	other.ID.Cookie++
	fromTable := known[0]
	fromTable.ID = closewait.TupleID(other.ID.NetNS, other.Local, other.Remote, other.Inode)
	elsewhere := known[0]
	elsewhere.ID.NetNS = 1
	if got := s.missed.ask([]closewait.Facts{other, fromTable, elsewhere}, s.buffers.reached); slices.Contains(slices.Collect(maps.Values(got)), true) {
		t.Errorf("confirmed: %v, of a cookie, a table and a namespace that are not there", got)
	}
	crowd := make([]closewait.Facts, maxConfirmed+1)
	for i := range crowd {
		crowd[i] = known[0]
	}
	crowd[maxConfirmed] = known[1]
	if got := s.missed.ask(crowd, s.buffers.reached); len(got) != 1 || !got[known[0].ID] {
		t.Errorf("of too many %v are confirmed, want the first alone", got)
	}

	here.Do("close 6")
	mapped.Do("close 1")
	there.Stop() // and its namespace with it
	n := 0
	for _, still := range s.missed.ask(known, s.buffers.reached) {
		if still {
			n++
		}
	}
	if n != 2+1 {
		t.Errorf("%d confirmed after most were closed, want the 2 unaccepted ones and the last of the others", n)
	}
	if scanErrors := s.host.Errors.Snapshot()[closewait.ScanError{Stage: host.StageSockets, Reason: host.ReasonOther}]; scanErrors != 0 {
		t.Errorf("%d scan errors", scanErrors)
	}
}
