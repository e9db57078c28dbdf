package inspect

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

func TestResourcesOfThisProcess(t *testing.T) {
	for range 3 {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		t.Cleanup(func() { unix.Close(fd) })
	}
	memory, err := unix.MemfdCreate("secret-name", unix.MFD_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { unix.Close(memory) })
	file, err := os.Create(t.TempDir() + "/secret-file")
	must(t, err)
	t.Cleanup(func() { file.Close() })
	h := openHost(t)
	id, err := Find(h, os.Getpid())
	must(t, err)
	r, err := ReadResources(t.Context(), h, id)
	must(t, err)
	counts := map[string]int{}
	for _, d := range r.Descriptors {
		counts[d.Kind] = d.Count
	}
	if counts["socket"] < 3 || counts["memfd"] != 1 || counts["file"] < 1 {
		t.Errorf("kinds of descriptors are %v", counts)
	}
	var limit unix.Rlimit
	must(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit))
	i := slices.IndexFunc(r.Limits, func(l closewait.Limit) bool { return l.Name == "Max open files" })
	if i < 0 || *r.Limits[i].Soft != limit.Cur || r.Limits[i].Unit != "files" {
		t.Errorf("limits are %+v, want %d open files", r.Limits, limit.Cur)
	}
	if len(r.Missing) > 0 || r.DescriptorsOmitted > 0 {
		t.Errorf("missing %q, %d descriptors omitted", r.Missing, r.DescriptorsOmitted)
	}
	if text := fmt.Sprintf("%+v", r); strings.Contains(text, "secret") {
		t.Errorf("names of files are in %s", text)
	}
}

func TestResourcesOfAProcessThatHasEnded(t *testing.T) {
	h := openHost(t)
	sleep := startSleep(t)
	id, err := Find(h, sleep.Process.Pid)
	must(t, err)
	must(t, sleep.Process.Kill())
	_ = sleep.Wait()
	if r, err := ReadResources(t.Context(), h, id); !errors.Is(err, closewait.ErrGone) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTheKindOfADescriptorHasNothingThatTheProcessHasChosen(t *testing.T) {
	for link, want := range map[string]string{
		"socket:[123]": "socket", "pipe:[4]": "pipe", "net:[4026531833]": "net", "anon_inode:[eventpoll]": "eventpoll",
		"anon_inode:inotify": "inotify", "anon_inode:[io_uring]": "io_uring", "anon_inode:": "anon_inode",
		"/dev/null": "device", "/memfd:password=x (deleted)": "memfd", "/srv/password": "file", "/socket:[1]": "file",
		"/a:[b]": "file", "": "file", "password": "file", "password:": "file", "(unreachable)/password": "file",
	} {
		if got := descriptorKind([]byte(link)); got != want {
			t.Errorf("%q is a %q, want a %q", link, got, want)
		}
	}
}

const someLimits = "Limit                     Soft Limit           Hard Limit           Units     \n" +
	"Max cpu time              unlimited            unlimited            seconds   \n" +
	"Max open files            1024                 524288               files     \n" +
	"Max file locks            18446744073709551614 18446744073709551614 locks     \n" +
	"Max nice priority         0                    unlimited            \n"

func TestLimitsAreParsed(t *testing.T) {
	limits, err := parseLimits([]byte(someLimits))
	must(t, err)
	var got []string
	text := func(n *uint64) string {
		if n == nil {
			return "unlimited"
		}
		return fmt.Sprint(*n)
	}
	for _, l := range limits {
		got = append(got, strings.Join([]string{l.Name, text(l.Soft), text(l.Hard), l.Unit}, "|"))
	}
	want := []string{
		"Max cpu time|unlimited|unlimited|seconds", "Max open files|1024|524288|files",
		"Max file locks|18446744073709551614|18446744073709551614|locks", "Max nice priority|0|unlimited|",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for name, bad := range map[string]string{
		"nothing": "", "only the head": someLimits[:80], "a cut line": someLimits + "Max open files  10", "no number": "Max open files  many  10  files\n",
		"negative": "Max open files  -1  10  files\n", "a fourth value": "Max open files  1  10  files  more\n",
	} {
		if limits, err := parseLimits([]byte(bad)); !errors.Is(err, host.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, limits, err)
		}
	}
}

func FuzzLimits(f *testing.F) {
	f.Add([]byte(someLimits))
	f.Add([]byte("Max open files  1 2 3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		limits, err := parseLimits(data)
		if err == nil && len(limits) == 0 || err != nil && !errors.Is(err, host.ErrMalformed) {
			t.Errorf("%+v, %v", limits, err)
		}
	})
}
