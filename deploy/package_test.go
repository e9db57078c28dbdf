package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// builder makes the packages. Building it takes a minute.
const builder = "../bin/nfpm-v2.45.0"

func TestPackagesAreInstalledUpgradedAndRemoved(t *testing.T) {
	leaktest.RequireRoot(t)
	if _, err := os.Stat(builder); err != nil && os.Getenv(longVariable) == "" {
		t.Skipf("builds nfpm: set %s=1, or make package first", longVariable)
	}
	made := run(t, "make", "package")
	tests := map[string]struct {
		needs                            string
		install, verify, upgrade, remove string // FILE stands for the package
		purge                            string
	}{
		"deb": {
			needs: "dpkg", install: "dpkg --install FILE", verify: "dpkg --verify closewait-exporter",
			upgrade: "dpkg --install FILE", remove: "dpkg --remove closewait-exporter", purge: "dpkg --purge closewait-exporter",
		},
		"rpm": {
			needs: "rpm", install: "rpm --install --nodeps --force-debian FILE", verify: "rpm --verify --nodeps closewait-exporter",
			upgrade: "rpm --upgrade --nodeps --force-debian --replacepkgs FILE", remove: "rpm --erase closewait-exporter",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require(t, test.needs)
			file := regexp.MustCompile(`created package: (dist/\S+\.` + name + `)\n`).FindStringSubmatch(made)
			if file == nil {
				t.Fatalf("no package in\n%s", made)
			}
			m := startMachine(t)
			m.copy("../"+file[1], "/opt/package."+name)
			do := func(command string) string {
				t.Helper()
				return m.run(strings.Fields(strings.ReplaceAll(command, "FILE", "/opt/package."+name))...)
			}
			do(test.install)
			if output := do(test.verify); output != "" {
				t.Errorf("not as packed: %s", output)
			}
			m.checkInstalledFiles()
			m.checkService("inactive", "disabled")

			m.leak("leaky-shop", "--sockets=3")
			do("systemctl enable --now closewait_exporter")
			m.awaitMetrics(`closewait_process_sockets{comm="leak",group="leaky-shop.service",pid="\d+",state="close_wait"} 3`)

			m.write("/etc/default/closewait_exporter", "ARGS=--collector.max-processes=0\n")
			do(test.upgrade) // restarts it, with our flags
			m.checkService("active", "enabled")
			m.awaitMetrics(`closewait_processes_omitted 1`)

			do(test.remove)
			m.checkService("inactive", "")
			if test.purge != "" {
				do(test.purge)
			}
			for _, path := range []string{"/usr/bin/closewait_exporter", "/etc/systemd/system/multi-user.target.wants/" + service} {
				if output, err := m.try("ls", "-l", path); err == nil {
					t.Errorf("still there: %s", output)
				}
			}
		})
	}
}

// packedFiles returns the files of the package and where they come from, by their destination.
func packedFiles(t *testing.T) map[string]string {
	t.Helper()
	packed := map[string]string{}
	for _, entry := range regexp.MustCompile(`\{src: ([^,]+), dst: ([^,}]+)(, type: symlink)?`).FindAllStringSubmatch(read(t, "nfpm.yaml"), -1) {
		source, destination := entry[1], entry[2]
		if entry[3] != "" {
			continue // TestPackagesAreInstalledUpgradedAndRemoved follows them
		}
		if !strings.Contains(source, "*") {
			packed[destination] = source
			continue
		}
		found, err := filepath.Glob("../" + source)
		if err != nil || len(found) == 0 {
			t.Errorf("no files %s: %v", source, err)
		}
		for _, file := range found {
			packed[destination+"/"+filepath.Base(file)] = strings.TrimPrefix(file, "../")
		}
	}
	return packed
}

// TestLinksInPackagedDocumentsWork follows the relative links and pictures of each document to
// another file of the package.
func TestLinksInPackagedDocumentsWork(t *testing.T) {
	packed, links := packedFiles(t), 0
	for destination, source := range packed {
		if filepath.Ext(source) != ".md" {
			continue
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#\s]+)`).FindAllStringSubmatch(read(t, "../"+source), -1) {
			if strings.Contains(link[1], ":") {
				continue // another server
			}
			links++
			if target := filepath.Join(filepath.Dir(destination), link[1]); packed[target] == "" && !directoryOf(packed, target) {
				t.Errorf("%s links to %s, which is not in the package", destination, target)
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links", links)
	}
}

func directoryOf(packed map[string]string, dir string) bool {
	for file := range packed {
		if strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/") {
			return true
		}
	}
	return false
}

func TestInstallingNamesTheExamplesOfThePackage(t *testing.T) {
	packed := regexp.MustCompile(`/(examples/[^/,}]+)`).FindAllStringSubmatch(read(t, "nfpm.yaml"), -1)
	if len(packed) == 0 {
		t.Fatal("no examples in nfpm.yaml")
	}
	text := read(t, "../docs/INSTALL.md")
	for _, example := range packed {
		if !strings.Contains(text, "`.../"+example[1]) {
			t.Errorf("docs/INSTALL.md does not name %s", example[1])
		}
	}
}

// checkService compares whether the service runs, and whether it will run after the next boot;
// enabled is "" where the service does not exist.
func (m *machine) checkService(active, enabled string) {
	m.t.Helper()
	if got, _ := m.try("systemctl", "is-active", service); got != active {
		m.t.Errorf("the service is %s, want %s", got, active)
	}
	if got, _ := m.try("systemctl", "is-enabled", service); enabled != "" && got != enabled {
		m.t.Errorf("the service is %s, want %s", got, enabled)
	}
}

// checkInstalledFiles uses each part of the package as a person would.
func (m *machine) checkInstalledFiles() {
	m.t.Helper()
	const doc = "/usr/share/doc/closewait-exporter"
	for _, command := range []string{
		"closewait_exporter list",
		"zgrep -q collector.min /usr/share/man/man1/closewait_exporter.1.gz",
		"source /usr/share/bash-completion/completions/closewait_exporter && complete -p closewait_exporter",
		"systemd-analyze verify --man=no " + service,
		"test -f " + doc + "/README.md -a -f " + doc + "/SECURITY.md -a -f " + doc + "/copyright -a -f " + doc + "/docs/INSTALL.md",
		"test -d /etc/closewait -a -f " + doc + "/examples/reaper.conf -a -f " + doc + "/examples/ebpf.conf -a -f " + doc + "/examples/alerts/closewait.rules.yml",
		"id closewait && test -f /etc/polkit-1/rules.d/60-closewait_exporter.rules",
		"closewait_exporter check-config " + doc + "/examples/rules.yml",
		`test "$(stat -c %a:%U /usr/bin/closewait_exporter)" = 755:root`,
	} {
		if output, err := m.try("bash", "-c", command); err != nil {
			m.t.Errorf("%s: %v\n%s", command, err, output)
		}
	}
}
