package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAKubeconfigMustNotRunAProgram(t *testing.T) {
	write := func(user string) Connection {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n" +
			"clusters: [{name: c, cluster: {server: \"https://127.0.0.1:6443\"}}]\nusers: [{name: u, user: " + user + "}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Connection{Kubeconfig: path}
	}
	if err := write("{token: secret}").Check(); err != nil {
		t.Error(err)
	}
	err := write("{exec: {command: /bin/true, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}}").Check()
	if err == nil || !strings.Contains(err.Error(), "runs a program") {
		t.Error(err)
	}
	if err := (Connection{Kubeconfig: "/does/not/exist"}).Check(); err == nil || !strings.Contains(err.Error(), "--cluster.kubeconfig") {
		t.Error(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if err := (Connection{}).Check(); err == nil || !strings.Contains(err.Error(), "--cluster.kubeconfig") {
		t.Error(err)
	}
}
