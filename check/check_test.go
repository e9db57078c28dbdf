package check

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/report"
)

// now is the time of the fixture.
var now = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// host builds a Snapshot.
type host struct {
	closewait.Snapshot
	cookies uint64
}

// process adds a process with ended sockets in a state.
func (h *host) process(p closewait.Process, state closewait.State, sockets int, age time.Duration) *host {
	p.ID.Start = 1000
	h.Processes, h.PIDs = append(h.Processes, p), append(h.PIDs, p.ID.PID)
	slices.Sort(h.PIDs)
	for range sockets {
		h.socket(state, closewait.OwnedByProcess, age, p.ID)
	}
	return h
}

func (h *host) socket(state closewait.State, owner closewait.Owner, age time.Duration, holders ...closewait.ProcessID) *host {
	h.cookies++
	h.Sockets = append(h.Sockets, closewait.SocketSample{
		Facts: closewait.Facts{
			ID: closewait.CookieID(1, h.cookies), Inode: h.cookies, State: state, Direction: closewait.Inbound,
			Local: netip.MustParseAddrPort("10.0.0.5:8080"), Remote: netip.AddrPortFrom(netip.MustParseAddr("10.1.2.3"), uint16(h.cookies)),
		},
		Owner: owner, Holders: holders, HasTimes: age > 0, SinceLastAck: age,
	})
	return h
}

// report is the Report about the host. Ages of 0 are not known.
func (h *host) report(change func(*report.Report)) *report.Report {
	h.Taken, h.NetNS, h.Complete = now.Add(-2*time.Second), []closewait.NetNS{1}, closewait.NewStateSet(closewait.EndedStates...)
	tracker := closewait.NewTracker(nil)
	tracker.Update(&h.Snapshot)
	h.Taken = now
	for i := range h.Sockets {
		if h.Sockets[i].HasTimes {
			h.Sockets[i].SinceLastAck += 2 * time.Second
		}
	}
	view := tracker.Update(&h.Snapshot)
	r := &report.Report{View: view, Listed: closewait.Listed(view, time.Second), MinAge: time.Second}
	r.Visibility = closewait.Visibility{Scanner: "ebpf", Namespaces: "all", Root: true}
	if change != nil {
		change(r)
	}
	return r
}

var (
	java  = closewait.Process{ID: closewait.ProcessID{PID: 4211}, Comm: "java", Unit: "tomcat9.service", FDsKnown: true, OpenFDs: 3300, MaxFDs: 4096}
	nginx = closewait.Process{ID: closewait.ProcessID{PID: 9}, Comm: "nginx", FDsKnown: true, OpenFDs: 100, MaxFDs: closewait.UnlimitedFDs}
	blind = closewait.Process{ID: closewait.ProcessID{PID: 7}, Comm: "blind", MaxFDs: 1024}
)

func thresholds(t *testing.T, age, sockets, fds string) (all Thresholds) {
	t.Helper()
	for text, to := range map[*string]*Range{&age: &all.Age, &sockets: &all.Sockets, &fds: &all.FDs} {
		if *text == "" {
			continue
		}
		r, err := ParseRange(*text)
		if err != nil {
			t.Fatal(err)
		}
		*to = r
	}
	return all
}

func TestTheWorstProcessDecidesTheState(t *testing.T) {
	const hour = time.Hour
	leaking := func() *host {
		return (&host{}).process(java, closewait.CloseWait, 12, hour).process(nginx, closewait.CloseWait, 3, 2*hour)
	}
	tests := []struct {
		name              string
		host              *host
		warning, critical Thresholds
		want              string // beginning of the output
	}{
		{
			"a healthy host", &host{}, thresholds(t, "10", "1", "1"), thresholds(t, "10", "1", "1"),
			"CLOSEWAIT OK - No ended connections are held: no leaks on this host | age=0s;10;10;0 sockets=0;1;1;0 fds=0%;1;1;0;100\n",
		},
		{
			"below all thresholds", leaking(), thresholds(t, "7202", "12", "80.6"), Thresholds{},
			"CLOSEWAIT OK - 15 ended connections, held by 2 processes | age=7202s;7202;;0 sockets=12;12;;0 fds=80.5%;80.6;;0;100\n",
		},
		{
			"old", leaking(), thresholds(t, "7201", "", ""), Thresholds{},
			"CLOSEWAIT WARNING - oldest socket 7202s, above 7201s: nginx (pid 9) | age=7202s;7201;;0 sockets=12;;;0 fds=80.5%;;;0;100\n",
		},
		{
			"many", leaking(), Thresholds{}, thresholds(t, "", "11", ""),
			"CLOSEWAIT CRITICAL - 12 sockets, above 11: tomcat9.service (pid 4211, java) | ",
		},
		{
			"near the limit", leaking(), thresholds(t, "", "", "80"), thresholds(t, "", "", "90"),
			"CLOSEWAIT WARNING - 80.5% of the descriptors in use, above 80%: tomcat9.service (pid 4211, java) | ",
		},
		{
			"only what is critical is named", leaking(), thresholds(t, "1", "1", "1"), thresholds(t, "", "1", "1"),
			"CLOSEWAIT CRITICAL - 12 sockets, above 1: tomcat9.service (pid 4211, java); 80.5% of the descriptors in use, above 1%: tomcat9.service (pid 4211, java) | ",
		},
		{
			"too few", &host{}, thresholds(t, "", "1:", ""), Thresholds{},
			"CLOSEWAIT WARNING - 0 sockets, below 1: no process | age=0s;;;0 sockets=0;1:;;0 fds=0%;;;0;100\n",
		},
		{
			"inside", leaking(), thresholds(t, "", "@10:12", ""), Thresholds{},
			"CLOSEWAIT WARNING - 12 sockets, within @10:12: tomcat9.service (pid 4211, java) | ",
		},
		{
			"closed sockets count too", (&host{}).process(nginx, closewait.Closed, 5, 0), thresholds(t, "", "4", ""), Thresholds{},
			"CLOSEWAIT WARNING - 5 sockets, above 4: nginx (pid 9) | age=2s;;;0 sockets=5;4;;0 fds=0%;;;0;100\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := written(t, Evaluate(test.host.report(nil), test.warning, test.critical))
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func written(t *testing.T, r Result) string {
	t.Helper()
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestOKNeedsAFullView(t *testing.T) {
	leaking := func() *host { return (&host{}).process(nginx, closewait.CloseWait, 3, time.Hour) }
	all := thresholds(t, "10000", "100", "100")
	missing := func(hides bool) func(*report.Report) {
		return func(r *report.Report) {
			r.Visibility.Missing = []closewait.MissingCapability{{Capability: "CAP_SYS_PTRACE", Lost: "something", HidesSockets: hides}}
		}
	}
	user := func(r *report.Report) { missing(true)(r); r.Visibility.Root = false }
	tests := []struct {
		name       string
		host       *host
		thresholds Thresholds
		change     func(*report.Report)
		want       string // empty: OK
	}{
		{"everything is seen", leaking(), all, nil, ""},
		{"holders are hidden", leaking(), all, missing(true), "not visible without CAP_SYS_PTRACE: something"},
		{"holders are hidden from a user", leaking(), all, user, "not visible without CAP_SYS_PTRACE: something: run it as root"},
		{"only details are hidden", leaking(), all, missing(false), ""},
		{"a better scanner does not work", leaking(), all, func(r *report.Report) { r.Visibility.Fallback = "no BPF" }, ""},
		{"a namespace is unreadable", leaking(), all, func(r *report.Report) { r.View.UnreadableNamespaces = 1 }, "1 network namespace could not be read"},
		{"a holder is unknown", leaking().socket(closewait.CloseWait, closewait.OwnerUnresolved, time.Hour), all, nil, "1 socket whose holder is not known"},
		{"the holder of an accept queue is unknown", leaking().socket(closewait.CloseWait, closewait.OwnedByListener, time.Hour), all, nil, "1 socket whose holder is not known"},
		{"no process holds one", leaking().socket(closewait.CloseWait, closewait.OwnedByKernel, time.Hour), all, nil, ""},
		{"an age is unknown", (&host{}).process(nginx, closewait.CloseWait, 3, 0), all, nil, "3 sockets in CLOSE_WAIT of unknown age"},
		{"an age is unknown and does not matter", (&host{}).process(nginx, closewait.CloseWait, 3, 0), thresholds(t, "~:", "100", "100"), nil, ""},
		{"descriptors are unknown", leaking().process(blind, closewait.CloseWait, 1, time.Hour), all, nil, "1 process with an unknown number of descriptors"},
		{"descriptors are unknown and do not matter", leaking().process(blind, closewait.CloseWait, 1, time.Hour), thresholds(t, "10000", "100", ""), nil, ""},
		{"closed sockets have no known age", (&host{}).process(nginx, closewait.Closed, 3, 0), all, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := test.host.report(test.change)
			got := Evaluate(r, test.thresholds, Thresholds{})
			switch {
			case test.want == "" && got.State != OK:
				t.Errorf("%s, want OK", written(t, got))
			case test.want != "" && written(t, got) != "CLOSEWAIT UNKNOWN - "+test.want+"\n":
				t.Errorf("%s, want UNKNOWN: %s", written(t, got), test.want)
			}
			if found := Evaluate(r, test.thresholds, thresholds(t, "", "0", "")); found.State != Critical {
				t.Errorf("%s, want a leak that was found to be CRITICAL whatever was not seen", written(t, found))
			} else if test.want != "" && !strings.Contains(written(t, found), "\nnote: ") {
				t.Errorf("no note of what was not seen:\n%s", written(t, found))
			}
		})
	}
}

func TestRootIsNoAdviceForWhatAnExporterDoesNotSee(t *testing.T) {
	r := (&host{}).process(nginx, closewait.CloseWait, 3, time.Hour).report(func(r *report.Report) {
		r.Visibility.Missing = []closewait.MissingCapability{{Capability: "CAP_SYS_PTRACE", Lost: "something", HidesSockets: true}}
		r.Visibility.Scanner = "netlink"
	})
	var sent bytes.Buffer
	if err := r.JSON(&sent, false); err != nil {
		t.Fatal(err)
	}
	r, err := report.Decode(sent.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := written(t, Evaluate(r, thresholds(t, "10000", "100", "100"), Thresholds{})), "CLOSEWAIT UNKNOWN - not visible without CAP_SYS_PTRACE: something\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAnUnknownValueIsU(t *testing.T) {
	r := (&host{}).process(blind, closewait.CloseWait, 1, time.Hour).report(nil)
	if got := written(t, Evaluate(r, Thresholds{}, thresholds(t, "", "0", "90"))); !strings.Contains(got, " fds=U;;90;0;100\n") {
		t.Error(got)
	}
}

func TestTheDetailsNameTheWorstProcesses(t *testing.T) {
	h := &host{}
	for i := range 12 {
		h.process(closewait.Process{ID: closewait.ProcessID{PID: 100 + i}, Comm: "worker", FDsKnown: true, OpenFDs: uint64(100 - i), MaxFDs: 1000}, closewait.CloseWait, 1, time.Hour)
	}
	lines := strings.Split(strings.TrimSpace(written(t, Evaluate(h.report(nil), thresholds(t, "1", "", ""), Thresholds{}))), "\n")
	if len(lines) != 12 || lines[1] != "worker (pid 100): 1 socket, oldest 1h00m, 100 of 1000 descriptors (10%)" || lines[11] != "and 2 more" {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	h = (&host{}).process(nginx, closewait.Closed, 2, 0)
	if got := written(t, Evaluate(h.report(nil), Thresholds{}, Thresholds{})); !strings.HasSuffix(got, "\nnote: the age of 2 closed sockets counts from the start of this check\n") {
		t.Error(got)
	}
}

// TestTheOutputFollowsTheConventions checks what docs/CHECK.md promises of the output, with names
// that processes have chosen to break it.
func TestTheOutputFollowsTheConventions(t *testing.T) {
	hostile := closewait.Process{ID: closewait.ProcessID{PID: 5}, Comm: "a|b=1;2\n<b>&", Unit: "x|y=9\r\n.service", FDsKnown: true, OpenFDs: 10, MaxFDs: 10}
	results := map[string]Result{
		"ok":       Evaluate((&host{}).report(nil), thresholds(t, "10", "@5:10", "~:"), Thresholds{}),
		"warning":  Evaluate((&host{}).process(hostile, closewait.CloseWait, 3, time.Hour).report(nil), thresholds(t, "10", "", ""), Thresholds{}),
		"critical": Evaluate((&host{}).process(hostile, closewait.CloseWait, 3, time.Hour).report(nil), thresholds(t, "10", "", ""), thresholds(t, "", "2", "99.5")),
		"unknown":  Failed(errors.New("cannot open a|b:\nit is <broken>")),
	}
	line := regexp.MustCompile(`^CLOSEWAIT (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+?(?: \|((?: [^ ]+)+))?$`)
	const number = `-?[0-9]+(?:\.[0-9]+)?`
	const limit = `(?:@?(?:(?:~|` + number + `):)?(?:` + number + `)?)`
	perf := regexp.MustCompile(`^([a-z]{1,19})=(U|` + number + `(?:s|%)?);` + limit + `;` + limit + `;` + number + `(?:;` + number + `)?$`)
	for name, result := range results {
		t.Run(name, func(t *testing.T) {
			first, rest, _ := strings.Cut(strings.TrimSuffix(written(t, result), "\n"), "\n")
			parts := line.FindStringSubmatch(first)
			if parts == nil || parts[1] != strings.ToUpper(name) {
				t.Fatalf("the first line is %q", first)
			}
			if strings.ContainsAny(first, "<>&\r") || strings.ContainsAny(rest, "|<>&\r") {
				t.Errorf("not escaped:\n%s\n%s", first, rest)
			}
			metrics := strings.Fields(parts[2])
			if (len(metrics) == 0) != (result.State == Unknown) {
				t.Errorf("%d metrics", len(metrics))
			}
			for _, metric := range metrics {
				if !perf.MatchString(metric) {
					t.Errorf("%q is no performance data", metric)
				}
			}
		})
	}
}

func TestTheStateIsTheExitStatus(t *testing.T) {
	for want, state := range []State{OK, Warning, Critical, Unknown} {
		if got := fmt.Sprintf("%d", state); got != strconv.Itoa(want) {
			t.Errorf("%s is %s, want %d", state, got, want)
		}
	}
}
