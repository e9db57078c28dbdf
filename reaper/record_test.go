package reaper

import (
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

const hour = -time.Hour

func TestTheAuditFileTellsWhatIsClosed(t *testing.T) {
	s := socket(7, hour, closed)
	if e := newSocketInfo(s, epoch); e.State != "closed" || e.Cookie != 7 {
		t.Errorf("%+v", e)
	}
	if e := newSocketInfo(socket(7, hour), epoch); e.State != "close_wait" {
		t.Errorf("%+v", e)
	}
}

func TestSocketCountsSayThatClosedSocketsWereSkipped(t *testing.T) {
	if text := (closewait.SocketCounts{Done: 3}).String(); strings.Contains(text, "closed") {
		t.Error(text)
	}
	if text := (closewait.SocketCounts{Closed: 3}).String(); text != "0 ended, 0 gone, 0 failed, 3 closed already" {
		t.Error(text)
	}
}
