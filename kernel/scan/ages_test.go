package scan_test

import (
	"os"
	"testing"
	"time"

	"closewait_exporter/kernel/scan"
)

// exact is the precision that an age must have, and pause is longer.
const (
	exact = time.Second
	pause = 1200 * time.Millisecond
)

func TestAgesOfSocketsLeakedBeforeTheFirstScanAreTrue(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	ns := netNSOf(t, os.Getpid())
	idle, talkative, late := connect(t, listener), connect(t, listener), connect(t, listener)
	talkative.send("the first of several")
	idle.CloseClient()
	time.Sleep(pause) // an age has to grow: there is no other way
	talkative.send("more data")
	late.send("all at once")
	late.CloseClient()
	talkative.CloseClient()
	time.Sleep(pause) // and the others as well
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		scanner := openTracked(t, kind, scan.Options{})
		v := scanner.view()
		for name, c := range map[string]*connection{"idle": idle, "data before the end": talkative, "data and the end at once": late} {
			s := v.socket(ns, c.Local(), c.Remote())
			age, most, least := s.Age(v.Taken), v.Taken.Sub(c.closing), v.Taken.Sub(c.closed)-exact
			if !kind.cookies {
				least = 0 // it knows nothing of what was before
			}
			if age > most || age < least {
				t.Errorf("%s: age %v, want %v to %v", name, age, least, most)
			}
			if s.Quiet(v.Taken) > age {
				t.Errorf("%s: quiet for %v, longer than its age of %v", name, s.Quiet(v.Taken), age)
			}
		}
	})
}

func TestAgesNeverExceedTheTruth(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		listener := listen(t, "127.0.0.1:0")
		ns := netNSOf(t, os.Getpid())
		scanner := openTracked(t, kind, scan.Options{})
		for range 40 {
			c := connect(t, listener)
			c.CloseClient()
			v := scanner.view()
			s := v.socket(ns, c.Local(), c.Remote())
			if age, truth := s.Age(v.Taken), v.Taken.Sub(c.closing); age > truth {
				t.Errorf("age %v, and the client closed %v ago", age, truth)
			}
			c.Server.Close()
		}
	})
}

func TestAgesGrowWithTimeAndNothingElse(t *testing.T) {
	withEachScanner(t, func(t *testing.T, kind scannerKind) {
		c := connect(t, listen(t, "127.0.0.1:0"))
		c.send("unread")
		c.HalfCloseClient()
		ns := netNSOf(t, os.Getpid())
		scanner := openTracked(t, kind, scan.Options{})
		first := scanner.view()
		since := first.socket(ns, c.Local(), c.Remote()).Since
		c.readAll()
		c.reply("data that arrives") // is acknowledged, which does not change the time of CLOSE_WAIT
		second := scanner.view()
		s := second.socket(ns, c.Local(), c.Remote())
		if !s.Since.Equal(since) || s.UnreadBytes() != 0 {
			t.Errorf("since %v with %d bytes unread, want %v as before, and 0", s.Since, s.UnreadBytes(), since)
		}
		if grown, passed := s.Age(second.Taken)-s.Age(first.Taken), second.Taken.Sub(first.Taken); grown != passed {
			t.Errorf("the age has grown by %v in %v", grown, passed)
		}
	})
}
