package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"closewait_exporter/closewait"
)

func TestACommandLineIsShortenedAndHasNoSecret(t *testing.T) {
	for line, want := range map[string]string{
		"":                                                   "-",
		"/usr/bin/python3 /srv/mail/worker.py":               "python3 …/mail/worker.py",
		"python3 /tmp/tmp.0a1b2c3d4e/mail.py":                "python3 …/mail.py",
		"python3 -u worker.py --queue=mail":                  "python3 -u worker.py --queue=mail",
		"python3 -m http.server -p 8080":                     "python3 -m http.server -p 8080",
		"nginx: worker process":                              "nginx: worker process",
		"app --password=hunter2 --port=80":                   "app --password=… --port=80",
		"app --password hunter2 two --port=80":               "app --password … --port=80",
		"app --password=two words --port=80":                 "app --password=… --port=80",
		"app --api-key abc --x":                              "app --api-key … --x",
		"env DB_PASSWORD=x server":                           "env DB_PASSWORD=…",
		"java -Dspring.datasource.password=x -jar a.jar":     "java -Dspring.datasource.password=… -jar a.jar",
		"curl -H Authorization: Bearer abc -s http://x/":     "curl -H Authorization:… -s http://x/",
		"curl -u me:pw http://x/":                            "curl -u …",
		"curl http://me:pw@host/path?token=abc#x":            "curl http://…@host/path…",
		"psql postgres://me:p/w@host/db":                     "psql postgres://…@host/db",
		"mysql -pSECRET -h db":                               "mysql -p… -h db",
		"sshpass -p hunter2 ssh me":                          "sshpass -p …",
		"redis-cli -a 12345 -n 3":                            "redis-cli -a … -n 3",
		"agent 0123456789abcdef0123":                         "agent …",
		"tokend --queue=a":                                   "tokend --queue=a",
		"app \x1b[2J":                                        `app \x1b[2J`,
		"app --" + strings.Repeat("long", 100):               "app --" + strings.Repeat("long", 18) + "l…",
		"app --conn Server=db;Password=x;Database=y --x":     "app --conn Server=db;Password=… --x",
		"/usr/bin/app --key=/etc/ssl/private.pem --listen=:": "app --key=… --listen=:",
	} {
		if got := command(line); got != want {
			t.Errorf("%q is shown as %q, want %q", line, got, want)
		}
	}
}

// interpreters are four processes that have only their command lines to tell them apart.
func interpreters() *Report {
	h := newHost()
	lines := map[int]string{}
	for i, script := range []string{"mail", "web", "jobs", "metrics"} {
		pid := 40101 + i
		lines[pid] = "/usr/bin/python3 " + script + ".py --password=hunter2"
		id := h.process(closewait.Process{ID: closewait.ProcessID{PID: pid}, Comm: "python3", Unit: "session-3.scope", FDsKnown: true, OpenFDs: 900, MaxFDs: 1024})
		h.sockets(5, closewait.SocketSample{Facts: closewait.Facts{Direction: closewait.Inbound}, Holders: []closewait.ProcessID{id}}, "10.0.0.5:8080", "10.1.2.3:40000", time.Hour)
	}
	r := h.report(time.Second)
	r.Commands = func(p *closewait.Process) string { return lines[p.ID.PID] }
	return r
}

func TestInterpretersCanBeToldApartOnANarrowTerminal(t *testing.T) {
	for _, width := range []int{0, 132, 80} {
		var out bytes.Buffer
		if err := interpreters().Processes(&out, width); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		for _, want := range []string{"COMMAND", "python3 mail.py", "python3 web.py", "python3 jobs.py", "python3 metrics.py", "900/1024 87%", "1h00m"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		requireFits(t, text, width)
		if strings.Contains(text, "hunter2") {
			t.Errorf("a password is in\n%s", text)
		}
	}
}

func TestACommandLineIsDroppedFirstWhereNamesTellProcessesApart(t *testing.T) {
	r := leaking().report(time.Second)
	r.Commands = func(*closewait.Process) string { return "program --with=options" }
	for width, want := range map[int]bool{0: true, 80: false} {
		var out bytes.Buffer
		if err := r.Processes(&out, width); err != nil {
			t.Fatal(err)
		}
		table, _, _ := strings.Cut(out.String(), "\n\n")
		if strings.Contains(table, "COMMAND") != want || !strings.Contains(table, "COMM ") {
			t.Errorf("in %d columns, the command line shown: %v is wrong in\n%s", width, !want, table)
		}
	}
}

func TestJSONHasTheCommandLineOnlyOnRequest(t *testing.T) {
	asked := interpreters()
	silent := interpreters()
	silent.Commands = nil
	for want, r := range map[string]*Report{`"command": "python3 mail.py --password=\u2026"`: asked, `"command": null`: silent} {
		var out bytes.Buffer
		if err := r.JSON(&out, false); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("error %v, want %s in\n%s", err, want, &out)
		}
	}
}

// requireFits fails for a line that a terminal would break.
func requireFits(t *testing.T, text string, width int) {
	t.Helper()
	for line := range strings.Lines(text) {
		if cells := cellsOf(strings.TrimSuffix(line, "\n")); width > 0 && cells > width {
			t.Errorf("%d cells, more than %d: %s", cells, width, line)
		}
	}
}

func TestTheTableOfSocketsFitsTheTerminal(t *testing.T) {
	for _, width := range []int{80, 100, 132} {
		var out bytes.Buffer
		if err := leaking().report(time.Second).Sockets(&out, width); err != nil {
			t.Fatal(err)
		}
		requireFits(t, out.String(), width)
		for _, want := range []string{"LOCAL", "REMOTE", "AGE", "UNREAD", "HOLDERS", ":40009", "4211/java", "Columns omitted to fit the terminal: FAMILY"} {
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
				t.Errorf("%q is not in\n%s", want, &out)
			}
		}
	}
}

func TestTheSameSocketsAreCalledTheSameEverywhere(t *testing.T) {
	r := leaking().report(time.Second)
	var out bytes.Buffer
	if err := r.Processes(&out, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 held by no process, 1 whose holder is not known.\n",
		"Not in the table, of the ended connections: 2 held by no process, 1 whose holder is not known (--sockets lists them).\n",
		"Held by no process: 2 out :443.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}
