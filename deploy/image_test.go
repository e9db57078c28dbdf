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

// TestTheImageSeesWhoLeaksOnTheHost builds the Dockerfile and runs it with the command of docs/INSTALL.md.
func TestTheImageSeesWhoLeaksOnTheHost(t *testing.T) {
	s := newStore(t)
	s.build()
	leak := leaktest.Where{NetNS: true}.Start(t, "--sockets=3", "--drop-uid=65534")
	tests := map[string][]string{
		"as root, who can do nothing else": nil,
		"as another user, with podman":     {"--user=65532:65532"},
	}
	for name, flags := range tests {
		t.Run(name, func(t *testing.T) {
			c := s.start(t, slices.Concat(flags, documentedFlags(t)), "--web.listen-address=127.0.0.1:0")
			leaktest.Eventually(t, patience, func() (bool, string) {
				metrics, err := c.metrics()
				seen := regexp.MustCompile(`(?m)^closewait_process_sockets{.*pid="` + strconv.Itoa(leak.PID) + `"} 3$`).MatchString(metrics)
				return err == nil && seen, "the leak is not seen:\n" + metrics + c.log()
			})
			if log := c.log(); strings.Contains(log, "missing=") || !strings.Contains(log, `version=1.2.3`) {
				t.Errorf("it misses something, or has another version:\n%s", log)
			}
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

// store holds images and containers apart from those of the host.
type store struct {
	t     *testing.T
	flags []string
}

func newStore(t *testing.T) *store {
	t.Helper()
	leaktest.RequireRoot(t)
	require(t, "buildah", "podman", "runc", "make")
	dir, err := os.MkdirTemp("", "cw-") // podman wants a short one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leaktest.Eventually(t, patience, func() (bool, string) { // podman tidies up, too
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

// build builds the Dockerfile. No registry can be reached from where this has to run, so an empty image stands in for
// that of Go, into which the host's programs, modules and build cache are mounted.
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

// documentedFlags are those of the docker run in docs/INSTALL.md, without what only matters to a person.
func documentedFlags(t *testing.T) []string {
	t.Helper()
	_, command, found := strings.Cut(read(t, "../docs/INSTALL.md"), "docker run --detach --name closewait_exporter --restart unless-stopped ")
	command, _, ended := strings.Cut(command, "    closewait_exporter\n")
	if !found || !ended {
		t.Fatal("no docker run in docs/INSTALL.md")
	}
	return strings.Fields(strings.ReplaceAll(command, "\\\n", ""))
}

// container is the image under way.
type container struct {
	store *store
	id    string
}

func (s *store) start(t *testing.T, flags []string, args ...string) *container {
	t.Helper()
	inside := &store{t, s.flags}
	// podman would raise limits, which not every machine for tests allows.
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

// metrics gets them from the address that the log tells.
func (c *container) metrics() (string, error) {
	c.store.t.Helper()
	_, address, _ := strings.Cut(c.log(), `msg="Listening on" address=`)
	address, _, _ = strings.Cut(address, "\n")
	return get("http://" + address + "/metrics")
}
