package strict

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

func TestThePodSeesTheHostAndMayDoNoMoreThanTheUnit(t *testing.T) {
	pod := one[*apps.DaemonSet](t).Spec.Template.Spec
	if !pod.HostNetwork || !pod.HostPID || pod.HostIPC || len(pod.Volumes) > 0 {
		t.Errorf("network %v and processes %v of the host, want both; IPC %v and volumes %v, want neither",
			pod.HostNetwork, pod.HostPID, pod.HostIPC, pod.Volumes)
	}
	confinement := pod.Containers[0].SecurityContext
	if confinement.Privileged != nil || !*confinement.ReadOnlyRootFilesystem || *confinement.RunAsUser != 0 {
		t.Errorf("security context %+v", confinement)
	}
	if got := confinement.Capabilities.Drop; !slices.Equal(got, []core.Capability{"ALL"}) {
		t.Errorf("drops %v, want ALL", got)
	}
	if got, want := confinement.Capabilities.Add, given(t, "../../systemd/closewait_exporter.service"); !slices.Equal(got, want) {
		t.Errorf("adds %v, and the unit %v", got, want)
	}
}

func TestThePatchForBPFChangesTheCapabilitiesOfThePod(t *testing.T) {
	text, err := os.ReadFile("../patches/ebpf.yaml")
	if err != nil {
		t.Fatal(err)
	}
	object, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	patch, set := object.(*apps.DaemonSet), one[*apps.DaemonSet](t)
	container := patch.Spec.Template.Spec.Containers[0]
	if patch.Name != set.Name || patch.Namespace != set.Namespace || container.Name != set.Spec.Template.Spec.Containers[0].Name {
		t.Errorf("it is for container %s of %s/%s", container.Name, patch.Namespace, patch.Name)
	}
	if got, want := container.SecurityContext.Capabilities.Add, given(t, "../../systemd/ebpf.conf"); !slices.Equal(got, want) {
		t.Errorf("adds %v, and the drop-in %v", got, want)
	}
}

// given are the capabilities that a unit or drop-in gives.
func given(t *testing.T, path string) (capabilities []core.Capability) {
	t.Helper()
	unit, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		names, found := strings.CutPrefix(line, "AmbientCapabilities=")
		for _, name := range strings.Fields(names) {
			if found {
				capabilities = append(capabilities, core.Capability(strings.TrimPrefix(name, "CAP_")))
			}
		}
	}
	return capabilities
}

func TestProbesAndMonitorAskWhereThePodListens(t *testing.T) {
	set, monitor := one[*apps.DaemonSet](t), one[*monitoring.PodMonitor](t)
	container := set.Spec.Template.Spec.Containers[0]
	port := container.Ports[0]
	if port.ContainerPort != 10052 || !slices.Contains(container.Args, "--web.listen-address=:10052") {
		t.Errorf("port %d, arguments %v", port.ContainerPort, container.Args)
	}
	for path, probe := range map[string]*core.Probe{"/-/healthy": container.LivenessProbe, "/-/ready": container.ReadinessProbe} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != port.Name {
			t.Errorf("a probe of %s on port %s, want %s on %s", probe.HTTPGet.Path, probe.HTTPGet.Port.String(), path, port.Name)
		}
	}
	endpoint := monitor.Spec.PodMetricsEndpoints[0]
	if endpoint.Port == nil || *endpoint.Port != port.Name || endpoint.Path != "/metrics" {
		t.Errorf("the monitor asks for %s on port %v", endpoint.Path, endpoint.Port)
	}
	labels := set.Spec.Template.Labels
	if !maps.Equal(monitor.Spec.Selector.MatchLabels, labels) || !maps.Equal(set.Spec.Selector.MatchLabels, labels) {
		t.Errorf("pods have labels %v; the monitor selects %v, the set %v", labels, monitor.Spec.Selector, set.Spec.Selector)
	}
	if monitor.Namespace != set.Namespace {
		t.Errorf("the monitor is in %s, the pods are in %s", monitor.Namespace, set.Namespace)
	}
}
