package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"closewait_exporter/closewait"
)

func TestGoldenProcesses(t *testing.T) {
	tests := []struct {
		file   string
		host   *host
		minAge time.Duration
		width  int
	}{
		{"processes.txt", leaking(), time.Second, 0},
		{"processes-all-ages.txt", leaking(), 0, 0},
		{"processes-100.txt", leaking(), time.Second, 100},
		{"processes-80.txt", leaking(), time.Second, 80},
		{"processes-40.txt", leaking(), time.Second, 40},
		{"processes-hostile.txt", hostile(), time.Second, 0},
		{"processes-hostile-80.txt", hostile(), time.Second, 80},
		{"processes-unprivileged.txt", unprivileged(), time.Second, 80},
		{"processes-none.txt", newHost(), time.Second, 80},
		{"processes-young.txt", leaking(), 100 * time.Hour, 80},
		{"processes-some-closed.txt", someClosed(), time.Second, 0},
		{"processes-some-closed-80.txt", someClosed(), time.Second, 80},
		{"processes-only-closed.txt", onlyClosed(), time.Second, 0},
		{"processes-none-closed-80.txt", noneClosed(), time.Second, 80},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			var out bytes.Buffer
			if err := test.host.report(test.minAge).Processes(&out, test.width); err != nil {
				t.Fatal(err)
			}
			golden(t, test.file, out.Bytes())
		})
	}
}

func TestRulesAreNamedWhereThereIsARulesFile(t *testing.T) {
	report := leaking().report(time.Second)
	report.Rules = func(p *closewait.Process) []string {
		if p.Comm == "java" {
			return []string{"tomcat-leak", "any-java"}
		}
		return nil
	}
	var table, encoded bytes.Buffer
	if err := report.Processes(&table, 0); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		want := "-"
		switch {
		case strings.HasPrefix(line, "GROUP"):
			want = "RULE"
		case strings.Contains(line, "java"):
			want = "tomcat-leak,any-java"
		case line == "\n": // below the table
			return
		}
		if cells := strings.Fields(line); cells[len(cells)-1] != want {
			t.Errorf("line %q does not end with %s", line, want)
		}
	}
	if err := report.JSON(&encoded, false); err != nil {
		t.Fatal(err)
	}
	if text := encoded.String(); !strings.Contains(text, `"any-java"`) || strings.Contains(text, `"rules": null`) {
		t.Errorf("JSON does not name the rules, or none where there are none:\n%s", text)
	}
}

func TestGoldenSockets(t *testing.T) {
	tests := []struct {
		file  string
		host  *host
		width int
	}{
		{"sockets.txt", leaking(), 0},
		{"sockets-80.txt", leaking(), 80},
		{"sockets-none.txt", newHost(), 0},
		{"sockets-some-closed.txt", someClosed(), 0},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			var out bytes.Buffer
			if err := test.host.report(time.Second).Sockets(&out, test.width); err != nil {
				t.Fatal(err)
			}
			golden(t, test.file, out.Bytes())
		})
	}
}

func TestGoldenJSON(t *testing.T) {
	tests := []struct {
		file    string
		host    *host
		sockets bool
	}{
		{"processes.json", leaking(), false},
		{"sockets.json", leaking(), true},
		{"hostile.json", hostile(), false},
		{"none.json", newHost(), true},
		{"some-closed.json", someClosed(), true},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			report := test.host.report(time.Second)
			report.Visibility.Fallback = "netlink does not work here"
			report.Visibility.Missing = []closewait.MissingCapability{{Capability: "CAP_SYS_ADMIN", Lost: "ages in other network namespaces"}}
			var out bytes.Buffer
			if err := report.JSON(&out, test.sockets); err != nil {
				t.Fatal(err)
			}
			golden(t, test.file, out.Bytes())
		})
	}
}

func TestNothingThatAProcessHasChosenReachesTheTerminal(t *testing.T) {
	report := hostile().report(time.Second)
	outputs := map[string]func(*bytes.Buffer) error{
		"processes": func(b *bytes.Buffer) error { return report.Processes(b, 0) },
		"sockets":   func(b *bytes.Buffer) error { return report.Sockets(b, 0) },
		"JSON":      func(b *bytes.Buffer) error { return report.JSON(b, true) },
	}
	for name, write := range outputs {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := write(&out); err != nil {
				t.Fatal(err)
			}
			for i, r := range out.String() {
				if r != '\n' && (!unicode.IsPrint(r) || unicode.In(r, unicode.M, unicode.Bidi_Control)) {
					t.Errorf("%U at byte %d: %q", r, i, out.String()[max(0, i-20):min(out.Len(), i+20)])
				}
			}
		})
	}
}

func TestJSONKeepsTheNamesOfProcesses(t *testing.T) {
	var out bytes.Buffer
	if err := hostile().report(time.Second).JSON(&out, false); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Processes []struct{ Comm string }
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for i, p := range hostile().Processes {
		if want := strings.ToValidUTF8(p.Comm, "\ufffd\ufffd"); got.Processes[i].Comm != want {
			t.Errorf("comm is %q, want %q", got.Processes[i].Comm, want)
		}
	}
}

func TestNotesSayWhatCannotBeSeenAndWhatToDo(t *testing.T) {
	unresolved := newHost()
	unresolved.Denied = 12
	unresolved.UnreadableNetNS = []closewait.NetNS{4026532000}
	unresolved.sockets(2, closewait.SocketSample{Owner: closewait.OwnerUnresolved}, "10.0.0.5:50000", "10.0.8.8:443", time.Hour)
	ageless := newHost()
	id := ageless.process(closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "x"})
	ageless.sockets(1, closewait.SocketSample{Holders: []closewait.ProcessID{id}}, "10.0.0.5:50000", "10.0.8.8:443", 0)
	ageless.Sockets[0].HasTimes, ageless.Sockets[0].ID.Cookie = false, 0

	missing := []closewait.MissingCapability{{Capability: "CAP_SYS_PTRACE", Lost: "holders of other users' sockets"}}
	tests := []struct {
		name       string
		host       *host
		visibility closewait.Visibility
		want       []string
	}{
		{"all is seen", leaking(), closewait.Visibility{Root: true}, []string{"the holder of 1 socket is not known"}},
		{"a healthy host that is seen", newHost(), closewait.Visibility{Root: true}, nil},
		{"a fallback", newHost(), closewait.Visibility{Fallback: "no netlink: EPERM", Root: true}, []string{"no netlink: EPERM", "--pid=host"}},
		{"a missing capability", newHost(), closewait.Visibility{Missing: missing}, []string{"not visible without CAP_SYS_PTRACE: holders of other", "sudo closewait_exporter list"}},
		{"what the scan was denied", unresolved, closewait.Visibility{}, []string{"the descriptors of 12 processes could not", "1 network namespace could not", "the holder of 2 sockets is not known", "sudo"}},
		{"unknown ages", ageless, closewait.Visibility{Root: true}, []string{"1 connection had ended before this command started"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			report := test.host.report(0)
			report.Visibility = test.visibility
			var out bytes.Buffer
			if err := report.Notes(&out, 0); err != nil {
				t.Fatal(err)
			}
			if test.want == nil && out.Len() > 0 {
				t.Errorf("notes where there is nothing to say:\n%s", &out)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in\n%s", want, &out)
				}
			}
		})
	}
}

func TestAHealthyHostIsNotCalledHealthyWhenNotAllIsSeen(t *testing.T) {
	tests := map[string]struct {
		missing []closewait.MissingCapability
		want    string
	}{
		"all is seen":          {nil, "no leaks on this host"},
		"something is missing": {[]closewait.MissingCapability{{Capability: "CAP_SYS_ADMIN", Lost: "other namespaces"}}, "parts of this host could not be read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report := newHost().report(time.Second)
			report.Visibility.Missing = test.missing
			var out bytes.Buffer
			if err := report.Processes(&out, 80); err != nil || !strings.Contains(out.String(), test.want) {
				t.Errorf("error %v and %q, want %q in it", err, &out, test.want)
			}
		})
	}
}
