package report

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"closewait_exporter/closewait"
	"closewait_exporter/origin"
)

// anOrigin is a trace of a process whose code and threads have a given name.
func anOrigin(name string) *Origin {
	frame := func(function string, line int) origin.Frame {
		return origin.Frame{Function: function, File: "/src/client.go", Line: line, Module: "/srv/shop", Language: origin.Go}
	}
	fetch := origin.Call{How: origin.Connect, Stack: []origin.Frame{frame("net.Dial", 20), frame("main."+name, 88), frame("main.pollAllTheBackendsOfTheShop", 120), frame("main.main", 12)}}
	read := origin.Call{How: origin.Read, Stack: []origin.Frame{frame("net.(*conn).Read", 5), frame("main."+name, 95)}}
	accepted := origin.Call{How: origin.Accept, Cut: true, Stack: []origin.Frame{{Function: "accept", Module: "/lib/libc.so.6", Language: origin.Native}}}
	trace := &origin.Trace{
		Process: closewait.Process{ID: closewait.ProcessID{PID: 4242, Start: 7}, Comm: name, Exe: "/srv/shop", Unit: "shop.service"},
		For:     time.Minute, Made: 20, Before: 5, Unknown: 2,
		Missing: []string{"No hook for accept, so the first read or write stands for it (fexit/inet_csk_accept: operation not permitted)."},
	}
	for i := range 13 {
		s := origin.Socket{Born: fetch, End: read, Thread: name, Direction: closewait.Outbound, Port: 443, Unread: 100}
		if i > 10 {
			s.End, s.Port = origin.Call{How: origin.NotSeen}, 8443
		}
		trace.Sockets = append(trace.Sockets, s)
	}
	trace.Sockets = append(trace.Sockets,
		origin.Socket{Born: accepted, End: origin.Call{How: origin.NotSeen}, Thread: "acceptor", Direction: closewait.Inbound, Port: 80, State: closewait.Closed},
		origin.Socket{Born: origin.Call{How: origin.Read}, End: origin.Call{How: origin.NotSeen}, Thread: "worker", Direction: closewait.UnknownDirection})
	return &Origin{trace}
}

func TestGoldenOrigin(t *testing.T) {
	for file, width := range map[string]int{"origin.txt": 0, "origin-50.txt": 50} {
		var out bytes.Buffer
		if err := anOrigin("fetch").Text(&out, width); err != nil {
			t.Fatal(err)
		}
		golden(t, file, out.Bytes())
	}
	var out bytes.Buffer
	if err := anOrigin("fetch").JSON(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "origin.json", out.Bytes())
	out.Reset()
	if err := (&Origin{&origin.Trace{For: time.Minute}}).Text(&out, 80); err != nil || !strings.Contains(out.String(), "LEAKED    0 of 0 sockets") {
		t.Errorf("nothing leaked: error %v, %s", err, &out)
	}
}

// TestAnOriginEscapesNamesOfTheProcess uses a name that would clear the screen.
func TestAnOriginEscapesNamesOfTheProcess(t *testing.T) {
	o := anOrigin("\x1b[2J\n100% \xff")
	var text, encoded, compressed bytes.Buffer
	for _, err := range []error{o.Text(&text, 80), o.JSON(&encoded), o.Profile(&compressed)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if strings.ContainsRune(text.String(), '\x1b') || strings.Contains(text.String(), "\n100%") {
		t.Errorf("the text is not escaped: %q", &text)
	}
	if !json.Valid(encoded.Bytes()) || bytes.ContainsAny(encoded.Bytes(), "\x1b\xff") {
		t.Errorf("the JSON is not escaped: %q", &encoded)
	}
	if _, err := profile.Parse(&compressed); err != nil {
		t.Error(err)
	}
}

func TestProfileHasSocketsAndBytesByLabel(t *testing.T) {
	var out bytes.Buffer
	if err := anOrigin("fetch").Profile(&out); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 4 || p.DefaultSampleType != "sockets" || p.DurationNanos != int64(time.Minute) {
		t.Fatalf("profile %v, want 4 samples", p)
	}
	var sockets, bytes int64
	for _, s := range p.Sample {
		sockets += s.Value[0]
		bytes += s.Value[1]
	}
	if sockets != 15 || bytes != 1300 {
		t.Errorf("%d sockets with %d bytes, want 15 and 1300", sockets, bytes)
	}
	first := p.Sample[0]
	for label, want := range map[string]string{"pid": "4242", "comm": "fetch", "thread": "fetch", "direction": "outbound", "port": "443", "how": "connect", "end": "read"} {
		if got := first.Label[label]; len(got) != 1 || got[0] != want {
			t.Errorf("label %s is %q, want %s", label, got, want)
		}
	}
	if line := first.Location[1].Line[0]; line.Function.Name != "main.fetch" || line.Line != 88 || line.Function.Filename != "/src/client.go" {
		t.Errorf("second call %+v", line)
	}
	if last := p.Sample[3]; last.Location[0].Line[0].Function.Name != "thread worker" {
		t.Errorf("without a stack %+v", last.Location[0].Line[0].Function)
	}
}

func TestEveryFieldOfTheOriginIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/ORIGIN.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := anOrigin("fetch").JSON(&out); err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(out.Bytes(), &value); err != nil {
		t.Fatal(err)
	}
	for field := range fields(value) {
		if !strings.Contains(string(page), "`"+field+"`") {
			t.Errorf("docs/ORIGIN.md does not describe %s", field)
		}
	}
}
