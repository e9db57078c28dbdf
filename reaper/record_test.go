package reaper

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

const hour = -time.Hour

func TestTheAuditFileTellsWhatIsDefunct(t *testing.T) {
	s := socket(7, hour, defunct)
	if e := newSocketInfo(s, epoch); !e.Defunct || e.Cookie != 7 {
		t.Errorf("%+v", e)
	}
	if e := newSocketInfo(socket(7, hour), epoch); e.Defunct {
		t.Errorf("%+v", e)
	}
}

func TestSocketCountsSayThatDefunctSocketsWereSkipped(t *testing.T) {
	if text := (closewait.SocketCounts{Done: 3}).String(); strings.Contains(text, "defunct") {
		t.Error(text)
	}
	if text := (closewait.SocketCounts{Defunct: 3}).String(); text != "0 ended, 0 gone, 0 failed, 3 skipped because they are defunct" {
		t.Error(text)
	}
}
