package e2e

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/internal/promtest"
)

// exporter is a running exporter.
type exporter struct {
	t       testing.TB
	cmd     *exec.Cmd
	pid     int
	address string
	log     *promtest.Transcript
	ended   chan struct{} // closed when it has ended and was reaped
}

// serve starts the exporter on a free port and returns when it listens. The exporter ends with the
// test.
func serve(t testing.TB, args ...string) *exporter {
	t.Helper()
	return start(t, exec.Command(program(t), leaktest.WithScanner(append([]string{anyPort}, args...)...)...))
}

// anyPort is an argument of all exporters here.
const anyPort = "--web.listen-address=127.0.0.1:0"

// start starts an exporter with a command, as serve does.
func start(t testing.TB, cmd *exec.Cmd) *exporter {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // so that it ends when the test binary dies
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the exporter: %v", err)
	}
	e := &exporter{t: t, cmd: cmd, pid: cmd.Process.Pid, log: &promtest.Transcript{}, ended: make(chan struct{})}
	listening := make(chan string, 1)
	go func() {
		defer close(e.ended)
		e.log.Record(stderr, listening)
		_ = cmd.Wait() // end reads the status
	}()
	t.Cleanup(e.destroy)
	select {
	case e.address = <-listening:
	case <-e.ended:
		t.Fatalf("the exporter ended before it listened:\n%s", e.log)
	case <-time.After(maxWait):
		t.Fatalf("the exporter does not listen:\n%s", e.log)
	}
	return e
}

// in returns the exporter for a subtest: what goes wrong ends the subtest, not its parent. Only the
// test itself may be ended from its goroutine, so a parallel subtest needs this.
func (e *exporter) in(t testing.TB) *exporter {
	inside := *e
	inside.t = t
	return &inside
}

// get requests a path and returns the status and the body, also of errors.
func (e *exporter) get(path string, header ...string) (status int, body string) {
	e.t.Helper()
	status, body, err := e.ask(path, header...)
	if err != nil {
		e.t.Fatalf("GET %s: %v\n%s", path, err, e.log)
	}
	return status, body
}

// ask is get for other goroutines than the test's, and for exporters that may not answer.
func (e *exporter) ask(path string, header ...string) (status int, body string, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: maxWait}
	request, err := http.NewRequest(http.MethodGet, "http://"+e.address+path, nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// scrape returns the metrics as Prometheus sees them.
func (e *exporter) scrape() metrics {
	e.t.Helper()
	status, body := e.get("/metrics")
	if status != http.StatusOK {
		e.t.Fatalf("/metrics answers %d: %s", status, body)
	}
	return parse(e.t, body)
}

// await scrapes until the condition holds and returns those metrics; why says what is missing.
func (e *exporter) await(condition func(metrics) (done bool, why string)) (found metrics) {
	e.t.Helper()
	leaktest.Eventually(e.t, maxWait, func() (bool, string) {
		found = e.scrape()
		done, why := condition(found)
		return done, why + "\n" + e.log.String()
	})
	return found
}

// signal sends a signal.
func (e *exporter) signal(s syscall.Signal) {
	e.t.Helper()
	if err := e.cmd.Process.Signal(s); err != nil {
		e.t.Fatalf("send %v to the exporter: %v", s, err)
	}
}

// end sends a signal and returns the exit status, and how long the exporter took to end.
func (e *exporter) end(s syscall.Signal) (status int, took time.Duration) {
	e.t.Helper()
	asked := time.Now()
	e.signal(s)
	select {
	case <-e.ended:
	case <-time.After(maxWait):
		e.t.Fatalf("the exporter runs on after %v:\n%s", s, e.log)
	}
	return e.cmd.ProcessState.ExitCode(), time.Since(asked)
}

// destroy kills the exporter whatever state it is in, and fails the test if it has panicked.
func (e *exporter) destroy() {
	_ = e.cmd.Process.Kill() // fails if it has ended already
	<-e.ended
	if log := e.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "fatal error:") {
		e.t.Errorf("the exporter has panicked:\n%s", log)
	}
}
