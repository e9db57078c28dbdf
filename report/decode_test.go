package report

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/history"
)

// sent returns a Report as a running exporter sends it, and as it is read.
func sent(t *testing.T, r *Report) *Report {
	t.Helper()
	var encoded bytes.Buffer
	if err := r.JSON(&encoded, false); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(encoded.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, encoded.String())
	}
	return got
}

// remembered adds a history in which each process grows, and a verdict about the first one.
func remembered(r *Report) *Report {
	past := history.New()
	for second := range 30 {
		v := *r.View
		v.Taken, v.Holders = r.View.Taken.Add(time.Duration(second-29)*time.Second), nil
		for _, h := range r.View.Holders {
			grown := *h
			grown.Ended.Sockets = h.Ended.Sockets[:h.Ended.Len()*(second+1)/30]
			grown.OpenFDs -= min(grown.OpenFDs, uint64(29-second))
			v.Holders = append(v.Holders, &grown)
		}
		past.Add(&v)
	}
	r.History = past
	if len(r.Listed) > 0 {
		r.Verdicts = map[closewait.ProcessID]diagnose.Verdict{
			r.Listed[0].ID: {Kind: diagnose.NeverCloses, Confidence: diagnose.Likely, Summary: "It did not call close()\x1b[2J\u202e."},
		}
	}
	return r
}

func TestAReportThatWasSentShowsTheSame(t *testing.T) {
	for name, h := range map[string]*host{"leaking": leaking(), "hostile": hostile(), "nothing": newHost()} {
		for _, width := range []int{0, 150} { // wide enough for invalid UTF-8, which becomes U+FFFD
			r := remembered(h.report(time.Second))
			got := sent(t, r)
			var before, after bytes.Buffer
			if err := r.Processes(&before, width); err != nil {
				t.Fatal(err)
			}
			if err := got.Processes(&after, width); err != nil {
				t.Fatal(err)
			}
			unwrapped := func(b *bytes.Buffer) string {
				text := strings.Join(strings.Fields(b.String()), " ")
				return strings.NewReplacer(" (--sockets lists them)", "", `\xe2\x82`, "\ufffd\ufffd").Replace(text)
			}
			if diff := cmp.Diff(unwrapped(&before), unwrapped(&after)); diff != "" {
				t.Errorf("%s in %d columns (-before +after):\n%s\n%s", name, width, diff, after.String())
			}
		}
	}
}

func TestAReportThatWasSentIsTheSameJSON(t *testing.T) {
	for name, h := range map[string]*host{"leaking": leaking(), "hostile": hostile()} {
		r := remembered(h.report(time.Second))
		var before, after bytes.Buffer
		if err := r.JSON(&before, false); err != nil {
			t.Fatal(err)
		}
		if err := sent(t, r).JSON(&after, false); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before.String(), after.String()); diff != "" {
			t.Errorf("%s (-before +after):\n%s", name, diff)
		}
	}
}

func TestAReportThatWasSentIsSelectedAndSorted(t *testing.T) {
	for _, o := range Orders {
		r := remembered(leaking().report(time.Second))
		got := sent(t, r)
		r.Selection = Selection{Order: &o, Top: 4}
		got.Selection = r.Selection
		if before, after := pids(r), pids(got); before != after {
			t.Errorf("by %s: %s, want %s", o.Key, after, before)
		}
	}
	got := sent(t, leaking().report(time.Second))
	got.Selection = Selection{Ports: []uint16{5432}, Groups: []string{"tomcat9.service"}}
	if pids(got) != "4211" || got.Leaking() != 1 {
		t.Errorf("selected %s, of which %d leak", pids(got), got.Leaking())
	}
	var text bytes.Buffer
	if err := got.JSON(&text, false); err != nil {
		t.Fatal(err)
	}
	if again, err := Decode(text.Bytes()); err != nil || len(again.Listed) != 1 || again.decoded.json.Hidden.NotSelected != 5 {
		t.Errorf("%v, %d processes", err, len(again.Listed))
	}
}

func TestJSONThatNoExporterSendsIsRefused(t *testing.T) {
	process := func(text string) string {
		return `{"version":2,"scanner":{"name":"x"},"processes":[{"pid":1,"services":[],` + text + `}]}`
	}
	for data, want := range map[string]string{
		`[]`:                                     "cannot unmarshal",
		`{}`:                                     "no version",
		`{"status":"success","data":{}}`:         "no version",
		`{"version":3,"scanner":{"name":"x"}}`:   "version 3, this program reads version 2",
		process(`"sockets":0`):                   "cannot be right",
		process(`"sockets":-1,"unaccepted":5`):   "cannot be right",
		process(`"sockets":9223372036854775807`): "cannot be right",
		process(`"sockets":5`):                   "the age of its oldest socket is missing",
		process(`"sockets":5,"oldest_seconds":1,"top_remote":{"address":"x"}`):                             "its remote address",
		process(`"sockets":5,"oldest_seconds":1,"top_remote":{"address":"invalid"}`):                       "its remote address",
		`{"version":2,"scanner":{"name":"x"},"processes":[{"pid":0,"sockets":1,"oldest_seconds":1}]}`:      "no process",
		process(`"sockets":4000000,"oldest_seconds":1},{"pid":2,"sockets":4000000,"oldest_seconds":1`):     "cannot be right",
		process(`"sockets":1,"oldest_seconds":1},{"pid":1,"sockets":1,"oldest_seconds":1,"services":null`): "named twice",
	} {
		if _, err := Decode([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", data, err, want)
		}
	}
}

// FuzzDecode shows whatever somebody sends.
func FuzzDecode(f *testing.F) {
	for _, pid := range []int{4211, 600, 77} { // one process each: long seeds are slow
		r := leaking().report(time.Second)
		r.Selection.PIDs = []int{pid}
		var encoded, compact bytes.Buffer
		if err := r.JSON(&encoded, false); err != nil {
			f.Fatal(err)
		}
		if err := json.Compact(&compact, encoded.Bytes()); err != nil {
			f.Fatal(err)
		}
		f.Add(compact.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		var text bytes.Buffer
		for _, write := range []func() error{
			func() error { return r.Processes(&text, 80) }, func() error { return r.JSON(&text, false) }, func() error { return r.Notes(&text, 80) },
		} {
			if err := write(); err != nil {
				t.Error(err)
			}
		}
		for i := range Orders {
			r.Selection.Order = &Orders[i]
			r.Rows()
		}
		for _, h := range r.Listed {
			h.Oldest(r.View.Taken)
		}
	})
}

func addrPort(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(port))
}

// TestTheJSONOfManyHostileProcessesIsBounded: what an exporter sends has a maximum length.
func TestTheJSONOfManyHostileProcessesIsBounded(t *testing.T) {
	v := &closewait.View{Taken: now}
	long := strings.Repeat("\x01", 4096)
	for pid := range 1000 {
		h := &closewait.Holder{Process: closewait.Process{ID: closewait.ProcessID{PID: pid + 1}, Comm: "\x01\x02", Exe: long, Nested: long[:512]}}
		var sockets []*closewait.Socket
		for port := range 300 {
			s := &closewait.Socket{Since: now.Add(-time.Hour)}
			s.State, s.Direction = closewait.CloseWait, closewait.Outbound
			s.Remote = addrPort(port + 1)
			sockets = append(sockets, s)
		}
		h.Ended = closewait.NewHolding(sockets)
		v.Holders = append(v.Holders, h)
	}
	r := remembered(newReport(v, time.Second))
	r.Selection.Top = MaxSent
	var text bytes.Buffer
	if err := r.JSON(&text, false); err != nil {
		t.Fatal(err)
	}
	if text.Len() > MaxBytes {
		t.Errorf("%d bytes, want at most %d", text.Len(), MaxBytes)
	}
	got, err := Decode(text.Bytes())
	if err != nil || len(got.Listed) != MaxSent {
		t.Fatalf("%v, %d processes", err, len(got.Listed))
	}
	text.Reset()
	if err := got.Processes(&text, 0); err != nil || !strings.Contains(text.String(), " +299 ") {
		t.Errorf("%v, and no process with 300 services, of which 200 were omitted", err)
	}
	if !strings.Contains(text.String(), "Not sent by the exporter: 800 processes, after the worst 200.") {
		t.Errorf("%s", text.String()[text.Len()-500:])
	}
}
