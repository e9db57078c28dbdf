package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"closewait_exporter/closewait"
)

// TestSocketsInFinWait2AreReportedInTheirSecondScan holds so that the sockets which clients and
// proxies have for a moment cause no search for holders.
func TestSocketsInFinWait2AreReportedInTheirSecondScan(t *testing.T) {
	var sockets finWait2Sockets
	known := ownerTable{}
	for i, step := range []struct {
		name       string
		read, want []uint64 // cookies
	}{
		{"all in the first scan", []uint64{1, 2}, []uint64{1, 2}},
		{"a new one not yet", []uint64{1, 2, 3}, []uint64{1, 2}},
		{"a new one again, and the one before", []uint64{1, 2, 3, 4}, []uint64{1, 2, 3}},
		{"one is missed", []uint64{1, 3}, []uint64{1, 3}},
		{"and is new afterwards", []uint64{1, 2, 3}, []uint64{1, 3}},
		{"none", nil, nil},
		{"all are new, and the holders of one are known", []uint64{1, 9}, []uint64{9}},
	} {
		if slices.Contains(step.read, 9) {
			known = newOwnerTable(&tableScan{set: &socketSet{sockets: []closewait.SocketSample{accepted(19, 9)}, listeners: &listeners{}}})
		}
		settled := sockets.begin(&known)
		var got []uint64
		for _, cookie := range step.read {
			row := accepted(10+cookie, cookie)
			if row.State = closewait.FinWait2; settled(&row) {
				got = append(got, cookie)
			}
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("scan %d, %s: %v, want %v", i+1, step.name, got, step.want)
		}
	}
}

func TestSocketsInFinWait2WithoutAHolderAreNotReported(t *testing.T) {
	var sockets finWait2Sockets
	settled := sockets.begin(&ownerTable{})
	var rows []closewait.SocketSample
	for cookie := range uint64(4) {
		row := accepted(10+cookie, 1+cookie)
		if cookie%2 == 0 {
			row.State = closewait.FinWait2
		}
		if cookie > 1 {
			row.Holders = []closewait.ProcessID{{PID: 7, Start: 1}}
		}
		settled(&row)
		rows = append(rows, row)
	}
	var left []string
	for _, row := range sockets.withoutUnheld(rows) {
		left = append(left, fmt.Sprint(row.ID.Cookie, " ", row.State))
	}
	if got := strings.Join(left, ", "); got != "2 close_wait, 3 fin_wait2, 4 close_wait" {
		t.Errorf("left: %s", got)
	}
}
