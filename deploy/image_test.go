package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// TestTheImageSeesLeaksOfTheHost builds the Dockerfile and runs it with the commands of
// docs/INSTALL.md.
func TestTheImageSeesLeaksOfTheHost(t *testing.T) {
	s := newStore(t)
	s.build()
	leak := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--drop-uid=65534")
	three, two := documentedFlags(t)
	tests := map[string]struct {
		flags   []string
		missing []string // in the order of the log
		exe     string   // a pattern for the exe label of another user's process
	}{
		"as root without other capabilities": {flags: three, exe: `/[^"]+`},
		"as another user, with podman":       {flags: append([]string{"--user=65532:65532"}, three...), exe: `/[^"]+`},
		"with CAP_BPF and CAP_PERFMON alone": { // which the seccomp profile of podman may not allow
			flags: append([]string{"--security-opt=seccomp=unconfined"}, two...), missing: []string{"CAP_SYS_PTRACE", "CAP_SYS_ADMIN"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := s.start(t, test.flags, "--web.listen-address=127.0.0.1:0")
			leaktest.Eventually(t, maxWait, func() (bool, string) {
				metrics, err := c.metrics()
				listed := regexp.MustCompile(`(?m)^closewait_process_sockets{.*pid="` + strconv.Itoa(leak.PID) + `",state="close_wait"} 3$`).MatchString(metrics)
				return err == nil && listed, "the leak is not listed:\n" + metrics + c.log()
			})
			info := regexp.MustCompile(`closewait_process_info{.*exe="` + test.exe + `",.*pid="` + strconv.Itoa(leak.PID) + `"`)
			if metrics, err := c.metrics(); err != nil || !info.MatchString(metrics) {
				t.Errorf("exe is not %q: %v\n%s", test.exe, err, metrics)
			}
			c.checkLog(test.missing)
		})
	}
	labels := s.podman("image", "inspect", "--format={{.Labels}}", imageName)
	for _, want := range []string{"image.version:1.2.3", "image.licenses:Apache-2.0", "image.title:closewait_exporter"} {
		if !strings.Contains(labels, want) {
			t.Errorf("no %s in %s", want, labels)
		}
	}
}

const (
	imageName    = "localhost/closewait_exporter:test"
	standInImage = "localhost/golang:stand-in"
)

// store holds images and containers, separate from the store of the host.
type store struct {
	t     *testing.T
	flags []string
}

func newStore(t *testing.T) *store {
	t.Helper()
	leaktest.RequireRoot(t)
	require(t, "buildah", "podman", "runc", "make")
	dir, err := os.MkdirTemp("", "cw-") // podman needs a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leaktest.Eventually(t, maxWait, func() (bool, string) { // podman removes files at the same time
			err := os.RemoveAll(dir)
			return err == nil, fmt.Sprint(err)
		})
	})
	return &store{t, []string{"--root=" + dir + "/root", "--runroot=" + dir + "/run", "--storage-driver=vfs"}}
}

func (s *store) buildah(args ...string) string {
	s.t.Helper()
	return run(s.t, "buildah", slices.Concat(s.flags, args)...)
}

func (s *store) podman(args ...string) string {
	s.t.Helper()
	return run(s.t, "podman", slices.Concat(s.flags, []string{"--runtime=runc"}, args)...)
}

// build builds the Dockerfile. The tests must not need a registry, so an empty image stands in for
// the image of Go, with the host's programs, modules and build cache mounted into it.
func (s *store) build() {
	s.t.Helper()
	var build []string
	for _, at := range []string{"/usr", "/etc/ssl"} {
		build = append(build, "--volume="+at+":"+at+":ro")
	}
	empty := strings.TrimSpace(s.buildah("from", "scratch"))
	root := strings.TrimSpace(s.buildah("mount", empty))
	for _, dir := range []string{"usr", "etc/ssl", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			s.t.Fatal(err)
		}
	}
	config := []string{"config", "--env=PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"GOROOT", "GOMODCACHE", "GOCACHE"} {
		dir := strings.TrimSpace(run(s.t, "go", "env", name))
		config = append(config, "--env="+name+"="+dir)
		build = append(build, "--volume="+dir+":"+dir)
	}
	s.buildah(append(config, empty)...)
	s.buildah("commit", "--quiet", empty, standInImage)
	s.buildah(slices.Concat([]string{"bud", "--isolation=chroot", "--tag=" + imageName, "--build-arg=BUILD_IMAGE=" + standInImage,
		"--build-arg=VERSION=1.2.3"}, build, []string{"."})...)
}

// documentedFlags returns the flags of the two docker run commands in docs/INSTALL.md, with three
// capabilities and with the two for BPF, without name and restart policy.
func documentedFlags(t *testing.T) (three, two []string) {
	t.Helper()
	commands := strings.Split(read(t, "../docs/INSTALL.md"), "docker run --detach --name closewait_exporter --restart unless-stopped ")
	if len(commands) != 3 {
		t.Fatalf("%d docker run in docs/INSTALL.md, want 2", len(commands)-1)
	}
	flags := func(command string) []string {
		command, _, ended := strings.Cut(command, "    closewait_exporter\n")
		if !ended {
			t.Fatalf("no end of %q", command)
		}
		return strings.Fields(strings.ReplaceAll(command, "\\\n", ""))
	}
	return flags(commands[1]), flags(commands[2])
}

// container is a running container of the image.
type container struct {
	store *store
	id    string
}

func (s *store) start(t *testing.T, flags []string, args ...string) *container {
	t.Helper()
	inside := &store{t, s.flags}
	// podman would raise limits, which is not permitted on every test machine.
	run := []string{"run", "--detach", "--quiet", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"}
	id := inside.podman(slices.Concat(run, flags, []string{imageName}, args)...)
	c := &container{inside, strings.TrimSpace(id)}
	t.Cleanup(func() {
		remove := exec.Command("podman", slices.Concat(inside.flags, []string{"--runtime=runc", "rm", "--force", "--time=0", c.id})...)
		if output, err := remove.CombinedOutput(); err != nil {
			t.Errorf("remove the container: %v\n%s", err, output)
		}
	})
	return c
}

func (c *container) log() string {
	c.store.t.Helper()
	return c.store.podman("logs", c.id)
}

// checkLog checks the start message of the exporter, and which capabilities it reports as missing.
func (c *container) checkLog(missing []string) {
	c.store.t.Helper()
	log := c.log()
	var got []string
	for _, match := range regexp.MustCompile(`not visible without (.*?): `).FindAllStringSubmatch(log, -1) {
		got = append(got, match[1])
	}
	if !slices.Equal(got, missing) || !strings.Contains(log, `version=1.2.3`) || !strings.Contains(log, "scanner=ebpf") {
		c.store.t.Errorf("the log does not report exactly %q as missing, or has another version or scanner:\n%s", missing, log)
	}
}

// metrics gets the metrics from the address in the log.
func (c *container) metrics() (string, error) {
	c.store.t.Helper()
	_, address, _ := strings.Cut(c.log(), `msg="Listening on" address=`)
	address, _, _ = strings.Cut(address, "\n")
	return get("http://" + address + "/metrics")
}
