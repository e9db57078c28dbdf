package app

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// silentServer accepts connections, answers nothing, and counts them.
type silentServer struct {
	net.Listener
	accepted chan struct{}
}

func newSilentServer(t *testing.T) *silentServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silentServer{listener, make(chan struct{}, 100)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			s.accepted <- struct{}{}
			connection.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return s
}

// connections returns how many there were. Connections are accepted in their order, so that the
// test's own one is the last.
func (s *silentServer) connections(t *testing.T) int {
	t.Helper()
	own, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	one := make([]byte, 1)
	_ = own.SetReadDeadline(time.Now().Add(timeout))
	_, _ = own.Read(one) // it is closed once it was accepted
	<-s.accepted
	return len(s.accepted)
}

// fleetFiles writes rules and a kubeconfig that name a server.
func fleetFiles(t *testing.T, server *silentServer, text string) (rulesFile, kubeconfig string) {
	t.Helper()
	dir := t.TempDir()
	rulesFile, kubeconfig = filepath.Join(dir, "rules.yml"), filepath.Join(dir, "kubeconfig")
	for file, text := range map[string]string{
		rulesFile: strings.ReplaceAll(text, "SERVER", server.Addr().String()),
		kubeconfig: `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: secret}}]
clusters: [{name: c, cluster: {server: "http://` + server.Addr().String() + `"}}]
`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return rulesFile, kubeconfig
}

const (
	plainRules = `
interval: 100ms
rules:
  - name: leak
    match: {exe: .*}
    when: {age: 1s, fds: 1}
    steps: [signal: {name: TERM}]
`
	fleetRules = `
interval: 100ms
fleet:
  brake: {url: "http://SERVER", query: up, below: 5}
  slots: {namespace: closewait, count: 1}
rules:
  - name: leak
    match: {exe: /does/not/exist}
    when: {age: 1s, fds: 1}
    steps:
      - evict: {namespaces: [shop]}
`
)

func TestNoConnectionIsOpenedBeforeARuleActs(t *testing.T) {
	leak(t)
	for name, text := range map[string]string{"without a fleet": plainRules, "with a fleet, and no process that matches": fleetRules} {
		t.Run(name, func(t *testing.T) {
			server := newSilentServer(t)
			file, kubeconfig := fleetFiles(t, server, text)
			flags := []string{"--reaper.config=" + file, "--cluster.kubeconfig=" + kubeconfig, "--cluster.node=n1"}
			var stdout, stderr bytes.Buffer
			if status := Run(t.Context(), append([]string{"explain"}, flags...), nil, &stdout, &stderr); status != 0 {
				t.Fatalf("status %d: %s", status, stderr.String())
			}
			_, o, err := parse(append([]string{"serve"}, flags...), &stdout)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := loadRules(o, log.NewNopLogger()); err != nil {
				t.Fatal(err)
			}
			if err := newFleet(o).mayEvict(); err != nil {
				t.Error(err)
			}
			if n := server.connections(t); n != 0 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestEachQuestionIsAskedOnlyWhenItIsNeeded(t *testing.T) {
	server := newSilentServer(t)
	file, kubeconfig := fleetFiles(t, server, fleetRules)
	config, err := rules.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	_, o, err := parse([]string{"--reaper.config=" + file, "--cluster.kubeconfig=" + kubeconfig, "--cluster.node=n1"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(o)
	ctx := context.Background()
	for name, ask := range map[string]func() error{
		"brake": func() error { _, err := f.BrakeValue(ctx, config.Fleet.Brake, "leak", "web"); return err },
		"slot":  func() error { _, err := f.TakeSlot(ctx, config.Fleet.Slots, "leak"); return err },
		"evict": func() error {
			_, err := f.Evict(ctx, closewait.Eviction{PodUID: "x", Namespaces: []string{"shop"}})
			return err
		},
	} {
		if err := ask(); err == nil {
			t.Errorf("%s: no error although nothing answers", name)
		}
		if n := server.connections(t); n == 0 {
			t.Errorf("%s: nothing was asked", name)
		}
		for len(server.accepted) > 0 {
			<-server.accepted
		}
	}
}

func TestSlotsAndEvictNeedAWayToKubernetes(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("NODE_NAME", "")
	file, _ := fleetFiles(t, newSilentServer(t), fleetRules)
	_, o, err := parse([]string{"--reaper.config=" + file}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadRules(o, log.NewNopLogger()); err == nil || !strings.Contains(err.Error(), "fleet.slots: no service account") {
		t.Error(err)
	}
	if err := newFleet(o).mayEvict(); err == nil || !strings.Contains(err.Error(), "--cluster.node") {
		t.Error(err)
	}
}

func TestAKubeconfigThatOthersCanChangeIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, which trusts only itself")
	}
	file, kubeconfig := fleetFiles(t, newSilentServer(t), plainRules)
	if err := os.Chmod(kubeconfig, 0o666); err != nil {
		t.Fatal(err)
	}
	_, o, err := parse([]string{"--reaper.config=" + file, "--cluster.kubeconfig=" + kubeconfig, "--reaper.enforce"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadRules(o, log.NewNopLogger()); err == nil || !strings.Contains(err.Error(), "--cluster.kubeconfig") {
		t.Error(err)
	}
}
