package procfs

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	idA    = "26cfbe35e08b24f053011af4ada23d8fcbf81f27f8331a94f56de5b677c903e4"
	idB    = "432624d2150b349fe35ba397284dea788c2bf66b885d14dfc1569b01890ca7da"
	podUUI = "9508fe66-7675-4003-b7c9-d83e9f8f85e5"
	podSys = "9508fe66_7675_4003_b7c9_d83e9f8f85e5"
	podOwn = "1864dd0546310be9937c37cf88024cb8" // of a static pod
	step   = "jvifp9a6b1lxa1kuw8bwfcovf"
)

var cgroupLayouts = []struct {
	name, file string
	want       membership
}{
	// systemd
	{"service, v2", "0::/system.slice/nginx.service", membership{unit: "nginx.service"}},
	{"service, v1", "4:memory:/system.slice/nginx.service\n1:name=systemd:/system.slice/nginx.service", membership{unit: "nginx.service"}},
	{"service of a template, with escapes", `0::/system.slice/system-app.slice/app@a\x2db.service`, membership{unit: `app@a\x2db.service`}},
	{"group of its own below a service", "0::/system.slice/nginx.service/workers", membership{unit: "nginx.service"}},
	{"group that was removed", "0::/system.slice/nginx.service (deleted)", membership{unit: "nginx.service"}},
	{"PID 1", "0::/init.scope", membership{}},
	{"slice alone", "0::/system.slice", membership{}},
	{"socket unit", "0::/system.slice/cups.socket", membership{}},
	{"hybrid, controllers elsewhere", "4:cpu,cpuacct:/\n1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service", membership{unit: "a.service"}},
	{"hybrid, only v2 names a unit", "1:name=systemd:/\n0::/system.slice/b.service", membership{unit: "b.service"}},
	{"v1 without systemd's hierarchy", "4:cpu,cpuacct:/\n3:memory:/system.slice/c.service", membership{unit: "c.service"}},

	// users
	{"session", "0::/user.slice/user-1000.slice/session-3.scope", membership{}},
	{"user manager", "0::/user.slice/user-1000.slice/user@1000.service/init.scope", membership{unit: "user@1000.service"}},
	{"user manager, before it splits", "0::/user.slice/user-1000.slice/user@1000.service", membership{unit: "user@1000.service"}},
	{"user service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service", membership{nested: "user@1000.service/app-foo.service"}},
	{"user application", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-0d233f08-00c2-43d8-5b57-2c2af4f5bfc0.scope", membership{}},
	{"user scope of older systemd", "0::/user.slice/user-1000.slice/user@1000.service/gnome-terminal.scope", membership{}},
	{"user-runtime-dir is no manager", "0::/system.slice/user-runtime-dir@1000.service", membership{unit: "user-runtime-dir@1000.service"}},

	// Docker
	{"Docker, v1 cgroupfs", "11:memory:/docker/" + idA + "\n1:name=systemd:/docker/" + idA, membership{container: idA}},
	{"Docker, v1 systemd", "5:hugetlb:/system.slice/docker-" + idA + ".scope\n1:name=systemd:/system.slice/docker-" + idA + ".scope", membership{container: idA}},
	{"Docker, v2 systemd", "0::/system.slice/docker-" + idA + ".scope", membership{container: idA}},
	{"Docker, v2 cgroupfs", "0::/docker/" + idA, membership{container: idA}},
	{"Docker, hybrid: in v2 it stays with the runtime", "1:name=systemd:/docker/" + idA + "\n0::/system.slice/containerd.service", membership{container: idA}},
	{"Docker, rootless", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + idA + ".scope", membership{nested: "user@1000.service/container:26cfbe35e08b"}},
	{"Docker, with --cgroup-parent", "0::/batch.slice/docker-" + idA + ".scope", membership{container: idA}},
	{"Docker in Docker", "0::/docker/" + idA + "/docker/" + idB, membership{container: idA, nested: "container:26cfbe35e08b/container:432624d2150b"}},
	{"Docker, a group of its own within", "0::/system.slice/docker-" + idA + ".scope/init", membership{container: idA}},
	{"the Docker daemon", "0::/system.slice/docker.service", membership{unit: "docker.service"}},
	{"systemd in Docker", "0::/docker/" + idA + "/system.slice/nginx.service", membership{container: idA, nested: "container:26cfbe35e08b/nginx.service"}},
	{"Docker of old, the id alone", "4:memory:/" + idA + "\n1:name=systemd:/" + idA, membership{container: idA}},
	{"build step, systemd", "0::/system.slice/system.slice:docker:" + step, membership{container: step}},
	{"build step below the daemon", "1:name=systemd:/system.slice/docker.service/system.slice:docker:" + step, membership{container: step}},
	{"build step, cgroupfs", "0::/docker/buildkit/" + step, membership{container: step}},
	{"nerdctl", "0::/system.slice/nerdctl-" + idA + ".scope", membership{container: idA}},

	// Kubernetes
	{"containerd v1 cgroupfs, burstable", "1:name=systemd:/kubepods/burstable/pod" + podUUI + "/" + idA + "\n0::/system.slice/containerd.service", membership{container: idA, pod: podUUI}},
	{"containerd v1 cgroupfs, guaranteed", "1:name=systemd:/kubepods/pod" + podUUI + "/" + idA, membership{container: idA, pod: podUUI}},
	{"containerd v2, burstable", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podSys + ".slice/cri-containerd-" + idA + ".scope", membership{container: idA, pod: podUUI}},
	{"containerd v2, besteffort", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podSys + ".slice/cri-containerd-" + idA + ".scope", membership{container: idA, pod: podUUI}},
	{"containerd v2, guaranteed", "0::/kubepods.slice/kubepods-pod" + podSys + ".slice/cri-containerd-" + idA + ".scope", membership{container: idA, pod: podUUI}},
	{"static pod", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podOwn + ".slice/cri-containerd-" + idA + ".scope", membership{container: idA, pod: podOwn}},
	{"containerd whose driver does not fit the kubelet's", "4:memory:/system.slice/containerd.service/kubepods-burstable-pod" + podSys + ".slice:cri-containerd:" + idA, membership{container: idA, pod: podUUI}},
	{"the same in v2", "0::/system.slice/kubepods-burstable-pod" + podSys + ".slice:cri-containerd:" + idA, membership{container: idA, pod: podUUI}},
	{"CRI-O", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podSys + ".slice/crio-" + idA + ".scope/container", membership{container: idA, pod: podUUI}},
	{"CRI-O, cgroupfs", "0::/kubepods/besteffort/pod" + podUUI + "/crio-" + idA, membership{container: idA, pod: podUUI}},
	{"CRI-O, monitor", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podSys + ".slice/crio-conmon-" + idA + ".scope", membership{pod: podUUI}},
	{"Docker below the kubelet", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podSys + ".slice/docker-" + idA + ".scope", membership{container: idA, pod: podUUI}},
	{"k3s", "0::/kubepods/besteffort/pod" + podUUI + "/" + idA, membership{container: idA, pod: podUUI}},
	{"k3s, rootless", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/k3s-rootless.service/kubepods/besteffort/pod" + podUUI + "/" + idA, membership{nested: "user@1000.service/pod:" + podUUI}},
	{"k3s itself", "0::/system.slice/k3s.service", membership{unit: "k3s.service"}},
	{"kind", "0::/system.slice/docker-" + idB + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + podSys + ".slice/cri-containerd-" + idA + ".scope", membership{container: idB, nested: "container:432624d2150b/pod:" + podUUI}},
	{"kind, v1", "1:name=systemd:/docker/" + idB + "/kubelet/kubepods/burstable/pod" + podUUI + "/" + idA, membership{container: idB, nested: "container:432624d2150b/pod:" + podUUI}},
	{"kind, the kubelet of a node", "0::/system.slice/docker-" + idB + ".scope/kubelet.slice/kubelet.service", membership{container: idB, nested: "container:432624d2150b/kubelet.service"}},
	{"systemd in a pod", "0::/kubepods/pod" + podUUI + "/" + idA + "/system.slice/nginx.service", membership{container: idA, pod: podUUI, nested: "pod:" + podUUI + "/nginx.service"}},
	{"Docker in a pod", "0::/kubepods/pod" + podUUI + "/" + idA + "/docker/" + idB, membership{container: idA, pod: podUUI, nested: "pod:" + podUUI + "/container:432624d2150b"}},

	// podman
	{"podman", "0::/machine.slice/libpod-" + idA + ".scope/container", membership{container: idA}},
	{"podman, monitor", "0::/machine.slice/libpod-conmon-" + idA + ".scope", membership{}},
	{"podman, in a pod of podman", "0::/machine.slice/machine-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope/container", membership{container: idA}},
	{"podman, rootless", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + idA + ".scope/container", membership{nested: "user@1000.service/container:26cfbe35e08b"}},
	{"podman, rootless monitor", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-" + idA + ".scope", membership{}},
	{"podman, cgroupfs", "0::/libpod_parent/libpod-" + idA, membership{container: idA}},
	{"quadlet", "0::/system.slice/web.service/libpod-payload-" + idA, membership{unit: "web.service"}},
	{"quadlet, rootless", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-" + idA, membership{nested: "user@1000.service/web.service"}},
	{"quadlet, monitor", "0::/system.slice/web.service/runtime", membership{unit: "web.service"}},

	// others
	{"nspawn", "0::/machine.slice/machine-foo.scope/payload/system.slice/nginx.service", membership{nested: "machine:foo/nginx.service"}},
	{"nspawn without systemd within", "0::/machine.slice/machine-foo.scope/payload", membership{nested: "machine:foo"}},
	{"nspawn as a service", "0::/machine.slice/systemd-nspawn@foo.service/payload", membership{nested: "machine:foo"}},
	{"nspawn as a service, systemd within", "0::/machine.slice/systemd-nspawn@foo.service/payload/system.slice/nginx.service", membership{nested: "machine:foo/nginx.service"}},
	{"LXC", "0::/lxc.payload.focal/system.slice/avahi-daemon.service", membership{nested: "lxc:focal/avahi-daemon.service"}},
	{"LXC, v1", "1:name=systemd:/lxc/focal/system.slice/nginx.service", membership{nested: "lxc:focal/nginx.service"}},
	{"Docker in LXC", "0::/lxc.payload.focal/system.slice/docker-" + idA + ".scope", membership{nested: "lxc:focal/container:26cfbe35e08b"}},
	{"ECS", "1:name=systemd:/ecs/55091c13-b8cf-4801-b527-f4601742204d/" + idA, membership{container: idA}},
	{"ECS, v2", "0::/ecstasks.slice/ecstasks-529630467358463ab6bbba4e73afe704.slice/docker-" + idA + ".scope", membership{container: idA}},
	{"ECS on Fargate", "1:name=systemd:/ecs/34dc0b5e626f2c5c4c5170e34b10e765/34dc0b5e626f2c5c4c5170e34b10e765-1234567890", membership{container: "34dc0b5e626f2c5c4c5170e34b10e765-1234567890"}},
	{"garden", "8:pids:/system.slice/garden.service/garden/6f265890-5165-7fab-6b52-18d1\n1:name=systemd:/system.slice/garden.service/garden/6f265890-5165-7fab-6b52-18d1", membership{container: "6f265890-5165-7fab-6b52-18d1"}},
	{"garden with whole UUIDs", "0::/system.slice/garden.service/43e91f7b-dc83-43d0-97a8-88c95fb942c2", membership{container: "43e91f7b-dc83-43d0-97a8-88c95fb942c2"}},

	{"supervisor of nspawn", "0::/machine.slice/systemd-nspawn@foo.service/supervisor", membership{unit: "systemd-nspawn@foo.service"}},
	{"machine whose name has a dash", `0::/machine.slice/machine-a\x2db.scope/payload`, membership{nested: "machine:a-b"}},
	{"machine of libvirt", `0::/machine.slice/machine-qemu\x2d12\x2dweb\x2d1.scope/libvirt/emulator`, membership{nested: "machine:qemu-web-1"}},
	{"Proxmox", "0::/lxc/101/ns/system.slice/shop.service", membership{nested: "lxc:101/shop.service"}},
	{"LXC, no service manager within", "0::/lxc.payload/focal/app", membership{nested: "lxc:focal"}},
	{"LXC, its monitor", "0::/lxc.monitor.focal", membership{}},
	{"LXC, a user within", "0::/lxc.payload.focal/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", membership{nested: "lxc:focal/user@1000.service/x.service"}},
	{"LXC, a terminal within", "0::/lxc.payload.focal/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope", membership{nested: "lxc:focal"}},
	{"LXC of a user", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1f.scope/lxc.payload.focal/system.slice/x.service", membership{}},
	{"systemd in podman", "0::/machine.slice/libpod-" + idA + ".scope/container/system.slice/x.service", membership{container: idA, nested: "container:26cfbe35e08b/x.service"}},

	// names that somebody else than the host has chosen
	{"unit of a user, called like one of the host", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/sshd.service", membership{nested: "user@1000.service/sshd.service"}},
	{"group of a user in v1, called like a unit", "1:name=systemd:/user.slice/user-1000.slice/session-3.scope/sshd.service", membership{}},
	{"group of a user by pam_cgfs", "4:memory:/user/alice/0/docker/" + idA, membership{}},
	{"controller that contradicts systemd's hierarchy", "4:memory:/docker/" + idA + "\n1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n0::/system.slice/sshd.service", membership{}},
	{"user manager that makes a container", "0::/user.slice/user-1000.slice/user@1000.service/kubepods/pod" + podUUI + "/" + idA, membership{nested: "user@1000.service/pod:" + podUUI}},
	{"service that makes a service", "0::/system.slice/ci.service/system.slice/sshd.service", membership{unit: "ci.service"}},
	{"service that makes a container", "0::/system.slice/ci.service/docker/" + idA, membership{unit: "ci.service"}},
	{"service that makes a machine", "0::/system.slice/ci.service/lxc.payload.101", membership{unit: "ci.service"}},
	{"service that makes a user manager", "0::/system.slice/ci.service/user@0.service", membership{unit: "ci.service"}},
	{"scope that makes a service", "0::/system.slice/run-r0f.scope/system.slice/sshd.service", membership{}},
	{"runtime that makes a service", "0::/system.slice/docker.service/system.slice/sshd.service", membership{unit: "docker.service"}},
	{"group that is no slice", "0::/jobs/system.slice/sshd.service", membership{}},

	// units whose names change
	{"name that a file could have", "0::/system.slice/_io.service", membership{unit: "io.service"}},
	{"name that begins with an underscore", "0::/system.slice/__io.service", membership{unit: "_io.service"}},
	{"connection, IPv4", "0::/system.slice/system-ssh.slice/ssh@3-10.0.0.1:22-203.0.113.9:5555.service", membership{unit: "ssh@.service"}},
	{"connection, IPv6", "0::/system.slice/ssh@12-fd00::1:22-2001:db8::9:5555.service", membership{unit: "ssh@.service"}},
	{"connection, AF_UNIX", "0::/system.slice/x@0-4711-1000.service", membership{unit: "x@.service"}},
	{"connection, AF_UNIX, systemd 257", "0::/system.slice/x@0-4711_8831-1000.service", membership{unit: "x@.service"}},
	{"connection, unknown peer", "0::/system.slice/x@7-unknown.service", membership{unit: "x@.service"}},
	{"connection, vsock", "0::/system.slice/x@7-2:22-3:1024.service", membership{unit: "x@.service"}},
	{"connection to a user's service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x@1-10.0.0.1:22-203.0.113.9:5555.service", membership{nested: "user@1000.service/x@.service"}},
	{"instance that a person has chosen", "0::/system.slice/postgresql@15-main.service", membership{unit: "postgresql@15-main.service"}},
	{"instance with a number", "0::/system.slice/web@1.service", membership{unit: "web@1.service"}},
	{"instance that is a UUID", `0::/system.slice/x@` + strings.ReplaceAll(podUUI, "-", `\x2d`) + `.service`, membership{unit: "x@.service"}},
	{"instance that is random", "0::/system.slice/x@" + podOwn + ".service", membership{unit: "x@.service"}},
	{"systemd-run", "0::/system.slice/run-r5f2b0c1d5f2b4c1d8f2b0c1d5f2b0c1d.service", membership{unit: "run-r.service"}},
	{"systemd-run over D-Bus", "0::/system.slice/run-u412.service", membership{unit: "run-u.service"}},
	{"systemd-run since 257", "0::/system.slice/run-p1234-i5678.service", membership{unit: "run-p.service"}},
	{"systemd-run of old", "0::/system.slice/run-1234.service", membership{unit: "run-.service"}},
	{"name that begins like systemd-run's", "0::/system.slice/run-parts.service", membership{unit: "run-parts.service"}},
	{"name with a UUID", "0::/system.slice/job-" + podUUI + ".service", membership{unit: "job-.service"}},

	// seen from within a cgroup namespace
	{"neighbour of a container", "0::/../../system.slice/docker-" + idA + ".scope", membership{container: idA}},
	{"neighbour of a pod, cgroupfs", "0::/../../pod" + podUUI + "/" + idA, membership{container: idA, pod: podUUI}},
	{"neighbour in another class of pods", "0::/../../../burstable/pod" + podOwn + "/" + idA, membership{container: idA, pod: podOwn}},
	{"neighbour in the same pod", "0::/../cri-containerd-" + idA + ".scope", membership{container: idA}},
	{"service of the host", "0::/../../../../system.slice/nginx.service", membership{unit: "nginx.service"}},

	// nothing to find
	{"root", "0::/", membership{}},
	{"root, v1", "9:name=systemd:/\n8:pids:/\n0::/", membership{}},
	{"empty", "", membership{}},
	{"no colon", "nginx.service", membership{}},
	{"one colon", "0:/system.slice/nginx.service", membership{}},
	{"empty lines", "\n\n::\n:::\n", membership{}},
	{"slashes alone", "0:://////", membership{}},
	{"dots alone", "0::/../../..", membership{}},
	{"colons in the path", "0::/system.slice/a:b.service", membership{unit: "a:b.service"}},
	{"invalid UTF-8", "0::/system.slice/\xff\xfe.service", membership{unit: "\xff\xfe.service"}},
	{"very long", "0::/" + strings.Repeat("x/", 10000) + "nginx.service", membership{}},
	{"65 digits", "0::/docker/" + idA + "0", membership{}},
	{"63 digits", "0::/docker/" + idA[1:], membership{}},
	{"64 characters that are no digits", "0::/docker/" + strings.Repeat("g", 64), membership{}},
	{"digits in upper case", "0::/docker/" + strings.ToUpper(idA), membership{}},
	{"pod whose uid is none", "0::/kubepods/pod1234/" + idA, membership{container: idA}},
	{"word of 25 letters, not in BuildKit's place", "0::/system.slice/" + step, membership{}},
	{"UUID, not in garden's place", "0::/system.slice/runner.service/43e91f7b-dc83-43d0-97a8-88c95fb942c2", membership{unit: "runner.service"}},
}

func TestMembershipIsReadFromEveryKnownLayout(t *testing.T) {
	for _, test := range cgroupLayouts {
		t.Run(test.name, func(t *testing.T) {
			for _, file := range []string{test.file, test.file + "\n"} {
				if got := parseCgroup([]byte(file)); got != test.want {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
			}
		})
	}
}

func TestOrderOfTheLinesDoesNotMatter(t *testing.T) {
	for _, test := range cgroupLayouts {
		lines := strings.Split(strings.TrimSuffix(test.file, "\n"), "\n")
		slices.Reverse(lines)
		if got := parseCgroup([]byte(strings.Join(lines, "\n"))); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestMembershipOfThisProcessIsPartOfItsFile(t *testing.T) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	checkMembership(t, data, parseCgroup(data))
}
