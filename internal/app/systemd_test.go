package app

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
)

// manager receives what the program tells systemd.
type manager struct{ *net.UnixConn }

func newManager(t *testing.T) (m manager, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return manager{socket}, path
}

// next returns the next notification.
func (m manager) next(t *testing.T) string {
	t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := m.Read(buffer)
	if err != nil {
		t.Fatalf("systemd is not notified: %v", err)
	}
	return string(buffer[:n])
}

func TestSystemdIsNotified(t *testing.T) {
	rulesFile := filepath.Join(t.TempDir(), "rules.yml")
	const rules = "rules: [{name: r, match: {exe: /x}, when: {age: 1m}, steps: [destroy: {}]}]\n"
	if err := os.WriteFile(rulesFile, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{"without a reaper": nil, "with a reaper": {"--reaper.config=" + rulesFile}} {
		t.Run(name, func(t *testing.T) {
			m, path := newManager(t)
			command := exec.Command(program, append(flags, "--web.listen-address=127.0.0.1:0")...)
			command.Env = append(command.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=300000")
			e := start(t, command)
			seen := map[string]int{}
			for seen["READY=1"] == 0 || seen["WATCHDOG=1"] < 3 {
				seen[m.next(t)]++
			}
			if status, _ := e.get(t, "/-/healthy"); status != 200 || seen["READY=1"] != 1 {
				t.Errorf("healthy answers %d, and systemd got %v", status, seen)
			}
			if status := e.stop(t, syscall.SIGTERM); status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
			for seen["STOPPING=1"] == 0 {
				seen[m.next(t)]++
			}
		})
	}
}

func TestAnInvalidWatchdogIsLogged(t *testing.T) {
	command := exec.Command(program, "--web.listen-address=127.0.0.1:0")
	command.Env = append(command.Environ(), "WATCHDOG_USEC=soon", "NOTIFY_SOCKET=/nonexistent/notify")
	e := start(t, command)
	if status, _ := e.get(t, "/-/healthy"); status != 200 {
		t.Errorf("healthy answers %d", status)
	}
	_ = e.command.Process.Signal(syscall.SIGTERM)
	log := strings.Join(e.log, "\n") + "\n" + <-e.rest
	for _, want := range []string{"Cannot use the watchdog of systemd", "Cannot notify systemd"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
}

func TestTheWatchdogIsNotFedWhileTheReaperHangs(t *testing.T) {
	m, path := newManager(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000000")
	var text bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var hangs atomic.Bool
		s := &server{logger: log.NewLogfmtLogger(&text)}
		ended := make(chan struct{})
		go func() { s.feedWatchdog(ctx, hangs.Load); close(ended) }()
		time.Sleep(45 * time.Second) // 5 notifications: at 0 s, 10 s, 20 s, 30 s and 40 s
		hangs.Store(true)
		time.Sleep(time.Hour)
		hangs.Store(false)
		time.Sleep(10 * time.Second) // one more
		cancel()
		<-ended
	})
	const want = 6
	for range want {
		if got := m.next(t); got != "WATCHDOG=1" {
			t.Errorf("systemd got %q", got)
		}
	}
	_ = m.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, _ := m.Read(make([]byte, 10)); n > 0 {
		t.Errorf("systemd got more than %d notifications", want)
	}
	if strings.Count(text.String(), "The reaper hangs") != 1 {
		t.Errorf("want one line about it, got:\n%s", &text)
	}
}
