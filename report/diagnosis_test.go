package report

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
)

// aDiagnosis has a process that chooses hostile names.
func aDiagnosis(comm string) *Diagnosis {
	facts := &diagnose.Facts{
		Holder:  &closewait.Holder{Process: closewait.Process{ID: closewait.ProcessID{PID: 4242, Start: 7}, Comm: comm, Exe: "/usr/bin/java", Unit: "shop.service"}},
		Runtime: diagnose.Java, SocketsKnown: true, CPU: diagnose.CPU{Known: true, Wanted: 0.5},
		Sockets: []diagnose.Socket{
			{FD: 3, State: diagnose.Listening, Local: netip.MustParseAddrPort("0.0.0.0:8080")},
			{FD: 4, State: diagnose.Established, Local: netip.MustParseAddrPort("127.0.0.1:5000"), Remote: netip.MustParseAddrPort("127.0.0.1:8080")},
		},
		Threads: []diagnose.Thread{
			{TID: 4243, Name: comm, State: 'S', Still: true, Call: "read", FDs: []int{4}, Socket: 1, Kernel: "wait_woken"},
			{TID: 4244, Name: "x", State: 'R', Socket: -1},
		},
		Missing: []string{"Not read: the epoll set of a thread."},
	}
	for range 2 {
		facts.Sockets = append(facts.Sockets, diagnose.Socket{State: diagnose.Ending, FirstLine: "GET /" + comm + " HTTP/1.1"})
	}
	facts.Peeked = true
	return &Diagnosis{facts, diagnose.Verdict{
		Kind: diagnose.WaitsForItself, Confidence: diagnose.Sure,
		Summary:  "It waits for itself: 4 requests to its own port 8080 are not served, which is a sentence of two lines.",
		Evidence: []string{"4 of 4 threads named " + comm + " wait for an answer of this process.", "The other end of 4 connections is in its own accept queue."},
		Next:     "gdb -p 4242 -batch -ex 'thread apply all bt' # a command that is longer than the line, and is not broken",
	}}
}

func TestGoldenDiagnosis(t *testing.T) {
	for file, width := range map[string]int{"diagnosis.txt": 0, "diagnosis-40.txt": 40} {
		var out bytes.Buffer
		if err := aDiagnosis("http-exec").Text(&out, width); err != nil {
			t.Fatal(err)
		}
		golden(t, file, out.Bytes())
	}
	var out bytes.Buffer
	if err := aDiagnosis("http-exec").JSON(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "diagnosis.json", out.Bytes())
}

func TestADiagnosisFitsEightyColumns(t *testing.T) {
	for _, width := range []int{0, 80, 200} {
		var out bytes.Buffer
		if err := aDiagnosis("http-exec").Text(&out, width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if cellsOf(strings.TrimSuffix(line, "\n")) > 80 && !strings.HasPrefix(line, "NEXT") {
				t.Errorf("longer than 80: %q", line)
			}
		}
	}
}

func TestADiagnosisOfAHostileNameIsSafe(t *testing.T) {
	const name = "\x1b[2J\n\u202eexe\xff"
	var text, encoded bytes.Buffer
	if err := aDiagnosis(name).Text(&text, 0); err != nil {
		t.Fatal(err)
	}
	for _, r := range text.String() {
		if r != '\n' && !harmless(r) {
			t.Errorf("%q in\n%s", r, text.String())
		}
	}
	if err := aDiagnosis(name).JSON(&encoded); err != nil {
		t.Fatal(err)
	}
	for _, b := range encoded.Bytes() {
		if b != '\n' && (b < ' ' || b > '~') {
			t.Fatalf("byte %#x in %s", b, &encoded)
		}
	}
}

func TestEveryFieldAndKindOfADiagnosisIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/DIAGNOSE.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := aDiagnosis("x").JSON(&out); err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(out.Bytes(), &value); err != nil {
		t.Fatal(err)
	}
	names := fields(value)
	for _, whose := range []diagnose.Whose{diagnose.UnreadOnEnded, diagnose.UnreadOfItself, diagnose.UnreadOnOpen} {
		names[string(whose)] = true
	}
	for _, kind := range append(diagnose.Kinds, diagnose.Unknown, diagnose.NothingWrong) {
		names[string(kind)] = true
	}
	for name := range names {
		if name != "version" && !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("docs/DIAGNOSE.md does not describe %s", name)
		}
	}
}
