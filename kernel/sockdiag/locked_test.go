package sockdiag

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

func TestADumpIsAbandonedWhereAThreadHoldsTheLockOfASocket(t *testing.T) {
	c, release := kerneltest.LockSocket(t)
	full, brief := NewDumper(host.TCPCloseWait), NewDumper(host.TCPCloseWait)
	brief.Brief = true
	find := func(d *Dumper) (found *Row, err error) {
		_, err = d.Dump(t.Context(), func(row *Row) {
			if row.Local == c.Local() && row.Remote == c.Remote() {
				copied := *row
				found = &copied
			}
		})
		return found, err
	}
	for _, what := range []string{"first", "second"} { // the second fails because the first is blocked
		if _, err := find(full); !errors.Is(err, host.ErrHangs) {
			t.Errorf("the %s dump with tcp_info: %v, want %v", what, err, host.ErrHangs)
		}
	}
	row, err := find(brief)
	if err != nil || row == nil || row.HasInfo || row.Cookie == 0 || row.Inode == 0 {
		t.Fatalf("without tcp_info: %+v, %v", row, err)
	}
	facts := closewait.Facts{ID: closewait.CookieID(1, row.Cookie), Local: row.Local, Remote: row.Remote, Inode: uint64(row.Inode)}
	if state := stateOf(t, &facts); state != host.TCPCloseWait {
		t.Errorf("state %d of the socket alone, want CLOSE_WAIT", state)
	}
	release()
	leaktest.Eventually(t, time.Minute, func() (bool, string) {
		row, err := find(full)
		return err == nil && row != nil && row.HasInfo, fmt.Sprintf("after the release: %+v, %v", row, err)
	})
}
