// Package strict decodes the manifests into the types of Kubernetes and of the Prometheus operator.
// It is a module of its own, so that the exporter does not require theirs.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// kinds are all that may stand in a manifest.
var kinds = map[meta.TypeMeta]func() any{
	{APIVersion: "v1", Kind: "Namespace"}:                             func() any { return new(core.Namespace) },
	{APIVersion: "v1", Kind: "ServiceAccount"}:                        func() any { return new(core.ServiceAccount) },
	{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}:        func() any { return new(rbac.Role) },
	{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}: func() any { return new(rbac.RoleBinding) },
	{APIVersion: "apps/v1", Kind: "DaemonSet"}:                        func() any { return new(apps.DaemonSet) },
	{APIVersion: "monitoring.coreos.com/v1", Kind: "PodMonitor"}:      func() any { return new(monitoring.PodMonitor) },
	{APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule"}:  func() any { return new(monitoring.PrometheusRule) },
}

// decode reads one document, and refuses what its type does not have and what stands there twice.
func decode(document []byte) (any, error) {
	var kind meta.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return nil, err
	}
	object, known := kinds[kind]
	if !known {
		return nil, fmt.Errorf("unknown kind %+v", kind)
	}
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, err
	}
	decoded := object()
	mistakes, err := json.UnmarshalStrict(text, decoded) // as the API server: encoding/json takes hostPid for hostPID
	return decoded, errors.Join(append(mistakes, err)...)
}

// manifests reads all documents of all files.
func manifests(t *testing.T) map[string][]any {
	t.Helper()
	files, err := filepath.Glob("../*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	objects := map[string][]any{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			object, err := decode(document)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			objects[filepath.Base(file)] = append(objects[filepath.Base(file)], object)
		}
	}
	return objects
}

// one is the only object of a type.
func one[T any](t *testing.T) T {
	t.Helper()
	var found []T
	for _, objects := range manifests(t) {
		for _, object := range objects {
			if o, ok := object.(T); ok {
				found = append(found, o)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of type %T, want one", len(found), *new(T))
	}
	return found[0]
}

func TestManifestsAreWhatTheirTypesSay(t *testing.T) {
	objects := manifests(t)
	for file, want := range map[string]int{"daemonset.yaml": 3, "podmonitor.yaml": 1, "prometheusrule.yaml": 1, "rbac-slots.yaml": 2, "rbac-evict.yaml": 2} {
		if got := len(objects[file]); got != want {
			t.Errorf("%d objects in %s, want %d", got, file, want)
		}
	}
}

func TestMistakesAreFound(t *testing.T) {
	text, err := os.ReadFile("../daemonset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(text), "\n---\n")
	daemonSet := documents[len(documents)-1]
	tests := map[string][2]string{
		"a misspelt field":         {"hostPID:", "hostPid:"},
		"a field at a wrong place": {"      hostPID: true", "      containers2: []"},
		"a field twice":            {"      hostPID: true", "      hostPID: true\n      hostPID: true"},
		"a value of another type":  {"runAsUser: 0", "runAsUser: root"},
		"a kind that is unknown":   {"kind: DaemonSet", "kind: DemonSet"},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(daemonSet, change[0], change[1], 1)
			if changed == daemonSet {
				t.Fatalf("no %q in the manifest", change[0])
			}
			if _, err := decode([]byte(changed)); err == nil {
				t.Error("no error")
			}
		})
	}
}
