package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/diagnose"
	"closewait_exporter/history"
)

// someEvidence is about the process with most sockets of a leaking host.
func someEvidence() *Evidence {
	r := leaking().report(time.Second)
	r.History = history.New()
	d := aDiagnosis("http-exec")
	soft := uint64(4096)
	return &Evidence{
		Report: r, Holder: r.Listed[0], Diagnosis: d,
		Resources: closewait.Resources{
			Descriptors: []closewait.DescriptorCount{{Kind: "socket", Count: 1204}, {Kind: "file", Count: 100}},
			Limits:      []closewait.Limit{{Name: "Max open files", Soft: &soft, Unit: "files"}},
			Cgroups:     []closewait.Cgroup{{Path: "/system.slice/tomcat9.service", Values: map[string]string{"memory.max": "max"}}},
			Missing:     []string{"Not read: its limits: denied."},
		},
		Case:    []byte(`{"id":"tomcat-leak-4211-mhx3k2p0","reason":"97 of 99"}`),
		Missing: []string{"Not read: something else."},
	}
}

// written is the document as it is read again.
func written(t *testing.T, e *Evidence) (document map[string]any, text []byte) {
	t.Helper()
	var out bytes.Buffer
	if err := e.JSON(&out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	return document, out.Bytes()
}

func TestGoldenEvidence(t *testing.T) {
	_, text := written(t, someEvidence())
	golden(t, "evidence.json", text)
}

func TestEveryFieldOfEvidenceIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/EVIDENCE.md")
	if err != nil {
		t.Fatal(err)
	}
	document, _ := written(t, someEvidence())
	names := map[string]bool{}
	for name, value := range document {
		names[name] = true
		switch name {
		case "case", "scanner", "process", "diagnosis", "sockets": // documented elsewhere, and tested there
		case "cgroups":
			names["path"], names["values"] = true, true
		default:
			for inner := range fields(value) {
				names[inner] = true
			}
		}
	}
	for name := range names {
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("docs/EVIDENCE.md does not describe %s", name)
		}
	}
}

// TestEvidenceHasTheSameJSONAsListAndDiagnose compares the parts, so that one program reads both.
func TestEvidenceHasTheSameJSONAsListAndDiagnose(t *testing.T) {
	e := someEvidence()
	document, _ := written(t, e)
	var list, diagnosis bytes.Buffer
	if err := e.Report.JSON(&list, true); err != nil {
		t.Fatal(err)
	}
	if err := e.Diagnosis.JSON(&diagnosis); err != nil {
		t.Fatal(err)
	}
	var listed struct{ Processes, Sockets []map[string]any }
	var diagnosed map[string]any
	if err := json.Unmarshal(list.Bytes(), &listed); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(diagnosis.Bytes(), &diagnosed); err != nil {
		t.Fatal(err)
	}
	if diagnosed["unread"] == nil {
		t.Fatal("the diagnosis has no payload that evidence could have")
	}
	diagnosed["unread"] = nil // payload is in no evidence
	if got, want := fmt.Sprint(document["process"]), fmt.Sprint(listed.Processes[0]); got != want {
		t.Errorf("process is %s, in list %s", got, want)
	}
	if got, want := fmt.Sprint(document["diagnosis"]), fmt.Sprint(diagnosed); got != want {
		t.Errorf("diagnosis is %s, in diagnose %s", got, want)
	}
	known := map[string]bool{}
	for _, s := range listed.Sockets {
		known[fmt.Sprint(s)] = true
	}
	sockets := document["sockets"].([]any)
	for _, s := range sockets {
		if !known[fmt.Sprint(s)] {
			t.Errorf("list does not have the socket %v", s)
		}
	}
	if want := len(socketsOf(e.Holder)); len(sockets) != want {
		t.Errorf("%d sockets, want %d", len(sockets), want)
	}
}

// TestEvidenceWithoutWhatCouldNotBeRead has a process of which next to nothing is known.
func TestEvidenceWithoutWhatCouldNotBeRead(t *testing.T) {
	e := someEvidence()
	e.Holder = &closewait.Holder{Process: closewait.Process{ID: closewait.ProcessID{PID: 5, Start: 6}}}
	e.Diagnosis, e.Case, e.Resources = nil, nil, closewait.Resources{}
	document, _ := written(t, e)
	for name, want := range map[string]string{
		"case": "<nil>", "diagnosis": "<nil>", "sockets": "[]", "fd_kinds": "[]", "limits": "[]", "cgroups": "[]", "missing": "[Not read: something else.]",
	} {
		if got := fmt.Sprint(document[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// TestEvidenceOfAHugeProcessIsBounded has a process that chooses how much there is to say about it.
func TestEvidenceOfAHugeProcessIsBounded(t *testing.T) {
	const many, limit = 20_000, 4 << 20
	e := someEvidence()
	holders := make([]closewait.ProcessID, 10)
	for i := range holders {
		holders[i].PID = i
	}
	sockets := make([]*closewait.Socket, many)
	for i := range sockets {
		sockets[i] = &closewait.Socket{Facts: closewait.Facts{
			Local: netip.AddrPortFrom(netip.MustParseAddr("fd00::1"), uint16(i)), Remote: netip.AddrPortFrom(netip.MustParseAddr("fd00::2"), uint16(i)),
			Direction: closewait.Inbound, Inode: uint64(i),
		}, Holders: holders}
	}
	h := *e.Holder
	h.Ended = closewait.NewHolding(sockets)
	e.Holder = &h
	fds := make([]int, 1024)
	for range many {
		e.Diagnosis.Facts.Threads = append(e.Diagnosis.Facts.Threads, diagnose.Thread{Name: "\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b", Socket: -1, FDs: fds})
	}
	threads := len(e.Diagnosis.Facts.Threads)
	document, text := written(t, e)
	if len(text) >= limit {
		t.Errorf("%d bytes, want less than %d", len(text), limit)
	}
	diagnosis := document["diagnosis"].(map[string]any)
	for what, n := range map[string]struct{ kept, omitted, all any }{
		"sockets":  {document["sockets"], document["sockets_omitted"], len(socketsOf(&h))},
		"threads":  {diagnosis["threads"], diagnosis["threads_omitted"], threads},
		"services": {document["process"].(map[string]any)["services"], document["process"].(map[string]any)["services_omitted"], len(h.Ended.Services) + len(h.Unaccepted.Services)},
	} {
		kept, omitted := len(n.kept.([]any)), int(n.omitted.(float64))
		if kept == 0 || omitted == 0 || kept+omitted != n.all.(int) {
			t.Errorf("%s: %d are kept and %d omitted of %d", what, kept, omitted, n.all)
		}
	}
}

func TestEvidenceOfAHostileProcessIsASCII(t *testing.T) {
	const name = "\x1b[2J\n\u202eexe\xff"
	e := someEvidence()
	h := *e.Holder
	h.Comm, h.Exe, h.Unit, h.User, h.Nested = name, name, name, name, name
	e.Holder, e.Diagnosis = &h, aDiagnosis(name)
	e.Resources = closewait.Resources{
		Descriptors: []closewait.DescriptorCount{{Kind: name, Count: 1}}, Missing: []string{name},
		Limits: []closewait.Limit{{Name: name, Unit: name}}, Cgroups: []closewait.Cgroup{{Path: name, Values: map[string]string{"memory.max": name}}},
	}
	record, err := json.Marshal(map[string]string{"comm": name})
	if err != nil {
		t.Fatal(err)
	}
	e.Case = record
	document, text := written(t, e)
	for _, b := range text {
		if b != '\n' && (b < ' ' || b > '~') {
			t.Fatalf("byte %#x in %s", b, text)
		}
	}
	if got, want := document["case"].(map[string]any)["comm"], strings.ReplaceAll(name, "\xff", "\ufffd"); got != want {
		t.Errorf("the name is read as %q, want %q", got, want)
	}
}
