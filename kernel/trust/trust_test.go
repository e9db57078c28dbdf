package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/internal/hosttest"
)

func TestMain(m *testing.M) {
	_ = hosttest.Move() // without a host of their own the tests skip
	os.Exit(m.Run())
}

const (
	someone  = 65534 // an unprivileged user
	exporter = 61234 // the user of a service with DynamicUser=yes
)

// tree makes files below a directory of root.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	t.Helper()
	hosttest.Require(t)
	return tree{t, t.TempDir()}
}

func (f tree) path(name string) string { return filepath.Join(f.root, name) }

func (f tree) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f tree) dir(name string, mode uint32, uid int) {
	f.t.Helper()
	f.must(os.MkdirAll(f.path(name), 0o755))
	f.must(os.Chown(f.path(name), uid, uid))
	f.must(unix.Chmod(f.path(name), mode)) // os.Chmod has other numbers for the sticky bit
}

func (f tree) file(name string, mode uint32, uid int) {
	f.t.Helper()
	f.must(os.WriteFile(f.path(name), nil, 0o600))
	f.must(os.Chown(f.path(name), uid, uid))
	f.must(unix.Chmod(f.path(name), mode))
}

func (f tree) link(target, name string, uid int) {
	f.t.Helper()
	f.must(os.Symlink(target, f.path(name)))
	f.must(os.Lchown(f.path(name), uid, uid))
}

// mountReadOnly mounts a directory on itself, read-only.
func (f tree) mountReadOnly(name string) {
	f.t.Helper()
	f.must(unix.Mount(f.path(name), f.path(name), "", unix.MS_BIND, ""))
	f.t.Cleanup(func() { _ = unix.Unmount(f.path(name), unix.MNT_DETACH) })
	f.must(unix.Mount("", f.path(name), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
}

func TestOnlyRootAndTheExporterMayBeAbleToChangeAFile(t *testing.T) {
	for name, c := range map[string]struct {
		make func(f tree)
		want string // a part of the error
	}{
		"a file of root":                  {func(f tree) { f.file("rules", 0o600, 0) }, ""},
		"a file that all can read":        {func(f tree) { f.file("rules", 0o755, 0) }, ""},
		"a file of the exporter":          {func(f tree) { f.file("rules", 0o600, exporter) }, ""},
		"a file of someone":               {func(f tree) { f.file("rules", 0o600, someone) }, "rules belongs to user 65534"},
		"a file that its group can write": {func(f tree) { f.file("rules", 0o620, 0) }, "can write to"},
		"a file that others can write":    {func(f tree) { f.file("rules", 0o602, 0) }, "can write to"},
		"a directory of someone":          {func(f tree) { f.dir("d", 0o755, someone); f.file("d/f", 0o600, 0); f.link("d/f", "rules", 0) }, "d belongs to user 65534"},
		"a directory that all can write":  {func(f tree) { f.dir("d", 0o777, 0); f.file("d/f", 0o600, 0); f.link("d/f", "rules", 0) }, "users other than the owner"},
		"a directory further up": {func(f tree) {
			f.dir("d", 0o777, 0)
			f.dir("d/e", 0o755, 0)
			f.file("d/e/f", 0o600, 0)
			f.link("d/e/f", "rules", 0)
		}, "users other than the owner"},
		"a sticky directory":      {func(f tree) { f.dir("d", 0o1777, 0); f.file("d/f", 0o600, 0); f.link("d/f", "rules", 0) }, ""},
		"a file of someone in it": {func(f tree) { f.dir("d", 0o1777, 0); f.file("d/f", 0o600, someone); f.link("d/f", "rules", 0) }, "f belongs to user 65534"},
		"a link of someone in it": {func(f tree) {
			f.dir("d", 0o1777, 0)
			f.file("f", 0o600, 0)
			f.link("../f", "d/l", someone)
			f.link("d/l", "rules", 0)
		}, "l belongs to user 65534"},
		"a link in a directory of someone": {func(f tree) {
			f.dir("d", 0o755, someone)
			f.file("f", 0o600, 0)
			f.link("../f", "d/l", 0)
			f.link("d/l", "rules", 0)
		}, "d belongs to user 65534"},
		"an absolute link": {func(f tree) { f.dir("d", 0o777, 0); f.file("d/f", 0o600, 0); f.link(f.path("d/f"), "rules", 0) }, "users other than the owner"},
		"a link to itself": {func(f tree) { f.link("rules", "rules", 0) }, "too many levels"},
		"no file":          {func(tree) {}, "no such file"},
		// kubelet mounts a ConfigMap read-only; its directory has mode 0777.
		"a ConfigMap": {func(f tree) {
			f.dir("cm", 0o777, 0)
			f.dir("cm/..2026_01_01", 0o777, 0)
			f.file("cm/..2026_01_01/rules.yml", 0o644, 0)
			f.link("..2026_01_01", "cm/..data", 0)
			f.link("..data/rules.yml", "cm/rules.yml", 0)
			f.mountReadOnly("cm")
			f.link("cm/rules.yml", "rules", 0)
		}, ""},
		"a ConfigMap whose files all can write": {func(f tree) {
			f.dir("cm", 0o777, 0)
			f.file("cm/f", 0o666, 0)
			f.mountReadOnly("cm")
			f.link("cm/f", "rules", 0)
		}, ""},
		"a read-only mount, a file of someone": {func(f tree) {
			f.dir("cm", 0o755, 0)
			f.file("cm/f", 0o600, someone)
			f.mountReadOnly("cm")
			f.link("cm/f", "rules", 0)
		}, "f belongs to user 65534"},
		"a ConfigMap that is not read-only": {func(f tree) {
			f.dir("cm", 0o777, 0)
			f.dir("cm/..1", 0o755, 0)
			f.file("cm/..1/rules.yml", 0o644, 0)
			f.link("..1", "cm/..data", 0)
			f.link("cm/..data/rules.yml", "rules", 0)
		}, "users other than the owner"},
		// systemd makes /var/lib/closewait a link to a directory of the dynamic user.
		"a StateDirectory with DynamicUser": {func(f tree) {
			f.dir("private", 0o700, 0)
			f.dir("private/closewait", 0o700, exporter)
			f.file("private/closewait/rules", 0o600, exporter)
			f.link("private/closewait", "closewait", 0)
			f.link("closewait/rules", "rules", 0)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newTree(t)
			c.make(f)
			err := checkFor(f.path("rules"), exporter)
			if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestARootFileSystemThatIsReadOnlyForThisProcessOnlyDoesNotHideItsPermissions(t *testing.T) {
	writable := entry{path: "/etc/rules", mode: unix.S_IFREG | 0o666, readOnly: true, onRoot: true}
	if writable.check(0) == nil {
		t.Error("ProtectSystem=strict hides that all users can write to the rules")
	}
	if writable.onRoot = false; writable.check(0) != nil {
		t.Error("a read-only mount does not count")
	}
}

func TestCheckIsAboutTheUserOfThisProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Error(err)
	}
}
