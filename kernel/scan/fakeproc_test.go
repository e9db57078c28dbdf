package scan

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/kernel/host"
)

const link = kerneltest.Link

const (
	fakeStat = "100 (java) S 1 100 100 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 4200 1 1 1 1 1 1 1 1 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
	fakeTCP  = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	fakeRow  = "   0: 0100007F:1F90 0200007F:C350 08 00000000:00000006 00:00000000 00000000  1000        0 4242 1 0000000000000000 20 4 30 10 -1\n"
	fakeNS   = 1234567890
)

// fakeBoot is the boot time of the fake hosts.
var fakeBoot = time.Unix(1700000000, 0)

// fakeProcess returns the files of a process that holds one socket in a network namespace of its
// own.
func fakeProcess() map[string]string {
	return map[string]string{
		"100/stat":   fakeStat,
		"100/status": "Name:\tjava\nUmask:\t0022\nUid:\t0\t4000000000\t0\t0\nGid:\t0\t0\t0\t0\n",
		"100/limits": "Limit                     Soft Limit           Hard Limit           Units     \n" +
			"Max open files            unlimited            unlimited            files     \n",
		"100/cgroup":  "0::/system.slice/tomcat.service\n",
		"100/exe":     link + "/opt/java/bin/java (deleted)",
		"100/ns/net":  link + "net:[1234567890]",
		"100/net/tcp": fakeTCP + fakeRow,
		"100/fd/0":    link + "/dev/null",
		"100/fd/1":    link + "pipe:[4242]",
		"100/fd/7":    link + "socket:[4242]",
		"100/fd/8":    link + "socket:[4242]",
		"100/fd/9":    link + "socket:[9999]",
	}
}

// openFake opens the procfs scanner for a tree of files.
func openFake(t testing.TB, dir string, o Options) *procfsScanner {
	t.Helper()
	s, err := openProcFS(openHost(t, dir), o.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return s.(*procfsScanner)
}

func openHost(t testing.TB, procFS string) *host.Host {
	t.Helper()
	h, err := host.Open(procFS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// openNetlinkHere opens the netlink scanner for this host.
func openNetlinkHere(t testing.TB, o Options) *netlinkScanner {
	t.Helper()
	s, err := openNetlink(openHost(t, host.DefaultPath), o.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return s.(*netlinkScanner)
}

// fakeScan scans a tree with the procfs scanner. It leaves out the sockets of the namespace of
// the test.
func fakeScan(t *testing.T, tree map[string]string) (*closewait.Snapshot, map[closewait.ScanError]uint64) {
	t.Helper()
	dir := t.TempDir()
	kerneltest.Plant(t, dir, tree)
	s := openFake(t, dir, Options{})
	snapshot, err := s.Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Sockets = slices.DeleteFunc(snapshot.Sockets, func(s closewait.SocketSample) bool { return s.ID.NetNS != fakeNS })
	for i := range snapshot.Processes { // the real boot time is not known here
		p := &snapshot.Processes[i]
		p.StartTime = p.StartTime.Add(fakeBoot.Sub(s.host.BootTime))
	}
	scanErrors := s.host.Errors.Snapshot()
	maps.DeleteFunc(scanErrors, func(_ closewait.ScanError, n uint64) bool { return n == 0 })
	return snapshot, scanErrors
}

// fakeFacts returns the facts of the only process that holds the socket of fakeProcess.
func fakeFacts() closewait.Process {
	return closewait.Process{
		ID: closewait.ProcessID{PID: 100, Start: 4200}, StartTime: fakeBoot.Add(42 * time.Second),
		Comm: "java", Exe: "/opt/java/bin/java", UID: 4000000000, User: "4000000000", State: 'S', Unit: "tomcat.service",
		NetNS: fakeNS, FDsKnown: true, OpenFDs: 5, MaxFDs: closewait.UnlimitedFDs,
	}
}

func TestAFakeProcIsReadAsARealOne(t *testing.T) {
	snapshot, scanErrors := fakeScan(t, fakeProcess())
	if len(scanErrors) != 0 {
		t.Errorf("scan errors %v", scanErrors)
	}
	if diff := cmp.Diff([]closewait.Process{fakeFacts()}, snapshot.Processes); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if len(snapshot.Sockets) != 1 {
		t.Fatalf("%d sockets: %+v", len(snapshot.Sockets), snapshot.Sockets)
	}
	s := snapshot.Sockets[0]
	if s.Local.String() != "127.0.0.1:8080" || s.Remote.String() != "127.0.0.2:50000" || s.UnreadBytes() != 5 || s.UID != 1000 || s.Inode != 4242 {
		t.Errorf("socket %+v", s)
	}
	if s.Owner != closewait.OwnedByProcess || len(s.Holders) != 1 || s.Holders[0] != fakeFacts().ID || s.Direction != closewait.UnknownDirection || s.HasTimes {
		t.Errorf("socket %+v", s)
	}
}

func TestWhatIsMissingOfAProcessStaysEmpty(t *testing.T) {
	const gone = "\x00"
	malformed := func(stage string) map[closewait.ScanError]uint64 {
		return map[closewait.ScanError]uint64{{Stage: stage, Reason: host.ReasonMalformed}: 1}
	}
	none := map[closewait.ScanError]uint64{}
	id := strings.Repeat("0123456789abcdef", 4)
	for name, c := range map[string]struct {
		file, content string
		want          func(*closewait.Process)
		scanErrors    map[closewait.ScanError]uint64
	}{
		"no cgroup":     {"100/cgroup", gone, func(p *closewait.Process) { p.Unit = "" }, none},
		"an odd cgroup": {"100/cgroup", "\x00\xff:::\n\n", func(p *closewait.Process) { p.Unit = "" }, none},
		"a container":   {"100/cgroup", "0::/system.slice/docker-" + id + ".scope\n", func(p *closewait.Process) { p.Unit, p.Container = "", id }, none},
		"a pod": {"100/cgroup", "0::/kubepods.slice/kubepods-pod9508fe66_7675_4003_b7c9_d83e9f8f85e5.slice/cri-containerd-" + id + ".scope\n",
			func(p *closewait.Process) {
				p.Unit, p.Container, p.Pod = "", id, "9508fe66-7675-4003-b7c9-d83e9f8f85e5"
			}, none},
		"no executable":       {"100/exe", gone, func(p *closewait.Process) { p.Exe = "" }, none},
		"a plain executable":  {"100/exe", link + "/usr/bin/x", func(p *closewait.Process) { p.Exe = "/usr/bin/x" }, none},
		"no limits":           {"100/limits", gone, func(p *closewait.Process) { p.MaxFDs = 0 }, none},
		"limits without it":   {"100/limits", "Max cpu time unlimited\n", func(p *closewait.Process) { p.MaxFDs = 0 }, malformed(host.StageFacts)},
		"a limit in numbers":  {"100/limits", "Max open files            1024                 4096                 files     \n", func(p *closewait.Process) { p.MaxFDs = 1024 }, none},
		"no status":           {"100/status", gone, func(p *closewait.Process) { p.UID, p.User = 0, "" }, none},
		"a status without it": {"100/status", "Name:\tUid:\t1\n", func(p *closewait.Process) { p.UID, p.User = 0, "" }, malformed(host.StageFacts)},
		"root":                {"100/status", "Name:\tx\nUid:\t9\t0\t9\t9\n", func(p *closewait.Process) { p.UID, p.User = 0, "root" }, none},
		"a name of any bytes": {"100/stat", strings.Replace(fakeStat, "java", ") Z 1\n\xff", 1), func(p *closewait.Process) { p.Comm = ") Z 1\n\xff" }, none},
	} {
		t.Run(name, func(t *testing.T) {
			tree, want := fakeProcess(), fakeFacts()
			c.want(&want)
			tree[c.file] = c.content
			if c.content == gone {
				delete(tree, c.file)
			}
			snapshot, scanErrors := fakeScan(t, tree)
			if diff := cmp.Diff([]closewait.Process{want}, snapshot.Processes); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.scanErrors, scanErrors); diff != "" {
				t.Errorf("scan errors (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMalformedFilesAreScanErrorsAndTheScanContinues adds malformed files to a tree with a good
// process in it.
func TestMalformedFilesAreScanErrorsAndTheScanContinues(t *testing.T) {
	for name, c := range map[string]struct {
		files      map[string]string
		stage      string // of the one fault; empty: none
		unresolved int
	}{
		"a process that ends while it is read":   {map[string]string{"200/ns/net": link + "net:[1234567890]"}, "", 0},
		"an entry that is no process":            {map[string]string{"sys/x": "", "1a/stat": "", "-5/stat": ""}, "", 0},
		"a link of another sort for a namespace": {map[string]string{"200/ns/net": link + "mnt:[1]"}, host.StageNamespace, 0},
		"a stat line cut short, of a holder": {map[string]string{"200/stat": "200 (a)", "200/ns/net": link + "net:[1234567890]", "200/fd/3": link + "socket:[4242]"},
			host.StageOwners, 0},
		"a line that is no socket":     {map[string]string{"100/net/tcp": fakeTCP + "garbage\n" + fakeRow}, host.StageSockets, 0},
		"a table that is cut short":    {map[string]string{"100/net/tcp": fakeTCP + fakeRow + "   1: 0100007F:1F90 0200"}, host.StageSockets, 0},
		"links of every odd sort":      {map[string]string{"100/fd/10": link + "socket:[", "100/fd/11": link + "socket:[99999999999999999999]"}, "", 0},
		"a descriptor that is no link": {map[string]string{"100/fd/12": "a file"}, host.StageOwners, 0},
		"a directory among tables":     {map[string]string{"100/net/tcp6/x": ""}, host.StageSockets, 0},
		"no holder of a socket":        {map[string]string{"100/net/tcp": fakeTCP + fakeRow + strings.Replace(fakeRow, "4242", "4243", 1)}, "", 1},
		"the same socket once more":    {map[string]string{"100/net/tcp": fakeTCP + fakeRow + fakeRow}, "", 0},
		"a file in place of threads":   {map[string]string{"100/task": "x"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			tree := fakeProcess()
			maps.Copy(tree, c.files)
			snapshot, scanErrors := fakeScan(t, tree)
			for scanError, n := range scanErrors {
				if scanError.Stage != c.stage || n != 1 {
					t.Errorf("%d scan errors %+v", n, scanError)
				}
			}
			if (len(scanErrors) == 0) != (c.stage == "") {
				t.Errorf("scan errors %v, want one of stage %q", scanErrors, c.stage)
			}
			v := closewait.NewTracker(nil).Update(snapshot)
			if n := v.Sockets.Of(closewait.IPv4, closewait.OwnerUnresolved); n != c.unresolved {
				t.Errorf("%d unresolved, want %d", n, c.unresolved)
			}
			if name != "a directory among tables" && (len(v.Holders) != 1 || v.Holders[0].Ended.Len() != 1) {
				t.Errorf("holders %+v", v.Holders)
			}
		})
	}
}

func TestNoProcessAtAllIsAnError(t *testing.T) {
	dir := t.TempDir()
	kerneltest.Plant(t, dir, fakeProcess())
	s := openFake(t, dir, Options{})
	if err := os.RemoveAll(filepath.Join(dir, "100")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scan(t.Context()); err == nil || !strings.Contains(err.Error(), "no process is visible") || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
}
