package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"closewait_exporter/kernel/trust"
)

// namesIn returns the names in a directory, sorted.
func namesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// put makes a file of an age and a size, without writing its content.
func put(t testing.TB, dir, name string, age time.Duration, size int64) {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, size))
	at := time.Now().Add(-age)
	must(t, os.Chtimes(path, at, at))
}

func TestAFileOfEvidenceIsPrivateAndHasTheNameOfTheCase(t *testing.T) {
	s, dir := open(t)
	for i, want := range []string{"web.leak-4711-mhx3k2p0.json", "web.leak-4711-mhx3k2p0-2.json", "web.leak-4711-mhx3k2p0-3.json"} {
		path, err := s.Write("web.leak-4711-mhx3k2p0", []byte(want))
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		content, err := os.ReadFile(path)
		must(t, err)
		if path != filepath.Join(dir, want) || info.Mode() != 0o600 || string(content) != want {
			t.Errorf("%s has mode %s and content %q", path, info.Mode(), content)
		}
		if n := len(namesIn(t, dir)); n != i+1 {
			t.Errorf("%d files, want %d", n, i+1)
		}
	}
}

func TestOneCaseHasFewFiles(t *testing.T) {
	s, dir := open(t)
	for range maxSameID {
		_, err := s.Write("web-1-a", nil)
		must(t, err)
	}
	if path, err := s.Write("web-1-a", nil); err == nil || len(namesIn(t, dir)) != maxSameID {
		t.Errorf("%s, %v, and there are %d files", path, err, len(namesIn(t, dir)))
	}
}

func TestTheOldestFilesMakeRoom(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(t *testing.T, dir string)
		gone []string
	}{
		"below the bounds none": {func(t *testing.T, dir string) {
			put(t, dir, "web-1-old.json", MaxAge-time.Hour, MaxBytes/2)
			put(t, dir, "web-1-new.json", time.Hour, MaxBytes/4)
		}, nil},
		"by their number": {func(t *testing.T, dir string) {
			for i := range MaxFiles + 1 {
				put(t, dir, fmt.Sprintf("web-1-%03d.json", i), time.Duration(i)*time.Minute, 1)
			}
		}, []string{"web-1-099.json", "web-1-100.json"}},
		"by their size": {func(t *testing.T, dir string) {
			put(t, dir, "web-1-oldest.json", 3*time.Hour, MaxBytes/2)
			put(t, dir, "web-1-old.json", 2*time.Hour, MaxBytes/2)
			put(t, dir, "web-1-new.json", time.Hour, MaxBytes/4)
		}, []string{"web-1-oldest.json"}},
		"by their age": {func(t *testing.T, dir string) {
			put(t, dir, "web-1-oldest.json", MaxAge+2*time.Hour, 1)
			put(t, dir, "web-1-old-2.json", MaxAge+time.Hour, 1)
			put(t, dir, "web-1-new.json", MaxAge-time.Hour, 1)
		}, []string{"web-1-old-2.json", "web-1-oldest.json"}},
		"and never those of others": {func(t *testing.T, dir string) {
			for _, other := range []string{"state.json", "audit.jsonl", "web-1-x.json.gz", "notes", "web-x-1.json"} {
				put(t, dir, other, 2*MaxAge, MaxBytes)
			}
			must(t, os.Mkdir(filepath.Join(dir, "web-1-directory.json"), 0o700))
			must(t, os.Symlink("notes", filepath.Join(dir, "web-1-link.json")))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := open(t)
			c.fill(t, dir)
			before := namesIn(t, dir)
			path, err := s.Write("web-1-fresh", []byte("fresh"))
			must(t, err)
			after := namesIn(t, dir)
			if !slices.Contains(after, filepath.Base(path)) {
				t.Errorf("the new file is not there: %v", after)
			}
			gone := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(after, name) })
			if !slices.Equal(gone, c.gone) {
				t.Errorf("removed: %v, want %v", gone, c.gone)
			}
		})
	}
}

func TestOldEvidenceIsRemovedWithoutNewEvidence(t *testing.T) {
	s, dir := open(t)
	put(t, dir, "web-1-old.json", MaxAge+time.Hour, 1)
	put(t, dir, "web-1-new.json", time.Hour, 1)
	must(t, s.Sweep())
	if got := namesIn(t, dir); !slices.Equal(got, []string{"web-1-new.json"}) {
		t.Errorf("kept: %v", got)
	}
}

// TestALinkInTheDirectoryLeadsNowhere has links from a time when the directory was open to others.
func TestALinkInTheDirectoryLeadsNowhere(t *testing.T) {
	s, dir := open(t)
	outside := filepath.Join(t.TempDir(), "precious")
	must(t, os.WriteFile(outside, []byte("precious"), 0o600))
	for _, name := range []string{"web-1-a.json", unfinished + "X"} {
		must(t, os.Symlink(outside, filepath.Join(dir, name)))
	}
	path, err := s.Write("web-1-a", []byte("evidence"))
	must(t, err)
	must(t, s.Clean())
	must(t, s.Sweep())
	if want := []string{"web-1-a-2.json", "web-1-a.json"}; filepath.Base(path) != want[0] || !slices.Equal(namesIn(t, dir), want) {
		t.Errorf("written to %s, in the directory is %v", path, namesIn(t, dir))
	}
	if content, err := os.ReadFile(outside); err != nil || string(content) != "precious" {
		t.Errorf("the file outside has %q, %v", content, err)
	}
}

func TestADirectoryThatOthersCanChangeIsRefused(t *testing.T) {
	const other = 65534
	mode := func(mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Chmod(dir, mode)) }
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string // in the error; empty: it is accepted
	}{
		"readable":            {mode(0o755), ""},
		"writable by a group": {mode(0o770), "chmod go-w"},
		"writable by all":     {mode(0o703), "chmod go-w"},
		"as /tmp":             {mode(0o777 | fs.ModeSticky), "chmod go-w"},
		"of another user": {func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			must(t, os.Chown(dir, other, other))
		}, "chown"},
		"a file": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		}, "not a directory"},
		"in a directory that is not there": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir))
			must(t, os.Remove(filepath.Dir(dir)))
		}, "make directory"},
		"not there yet": {func(t *testing.T, dir string) { must(t, os.Remove(dir)) }, ""},
		"below a directory that others can change": {func(t *testing.T, dir string) {
			must(t, os.Chmod(filepath.Dir(dir), 0o777))
		}, "chmod go-w"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "parent", "evidence")
			must(t, os.MkdirAll(dir, 0o700))
			c.change(t, dir)
			s, err := Open(dir, trust.Check)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.Dir(dir)) {
					t.Errorf("error is %v, want %q and the path in it", err, c.want)
				}
				return
			}
			must(t, err)
			if _, err := s.Write("web-1-a", nil); err != nil {
				t.Error(err)
			}
			must(t, os.Chmod(dir, 0o777))
			if path, err := s.Write("web-1-b", nil); err == nil {
				t.Errorf("after others can write to it, there is %s", path)
			}
		})
	}
}

func TestADirectoryThatIsRemovedIsMadeAgain(t *testing.T) {
	s, dir := open(t)
	must(t, os.Remove(dir))
	_, err := s.Write("web-1-a", nil)
	must(t, err)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestConcurrentWritesAreWhole(t *testing.T) {
	s, dir := open(t)
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			if _, err := s.Write(fmt.Sprintf("web-%d-a", i), []byte(strings.Repeat("x", 100+i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 30 {
		if content, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("web-%d-a.json", i))); len(content) != 100+i {
			t.Errorf("%d bytes, %v", len(content), err)
		}
	}
}

func FuzzFilesStayInTheirDirectory(f *testing.F) {
	for _, id := range []string{"web-1-a", "../web-1-a", "a/b-1-a", "", "..-1-a", "web-1-a\n", "web-1-a\x00", "/etc/x-1-a", "web-1-a.json/..", strings.Repeat("x", 300) + "-1-a"} {
		f.Add(id)
	}
	s, dir := open(f)
	f.Fuzz(func(t *testing.T, id string) {
		path, err := s.Write(id, []byte("evidence"))
		if err != nil {
			return
		}
		if filepath.Dir(path) != dir || !names.MatchString(filepath.Base(path)) {
			t.Errorf("%q is written to %s", id, path)
		}
		if err := os.Remove(path); err != nil {
			t.Errorf("it is not where it should be: %v", err)
		}
		if left := namesIn(t, dir); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

func TestASingleFileIsWrittenOnlyWhereItReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file.json")
	must(t, WriteFile(path, []byte("first"), false))
	if err := WriteFile(path, []byte("second"), false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error is %v", err)
	}
	must(t, os.Chmod(path, 0o644))
	must(t, WriteFile(path, []byte("third"), true))
	info, err := os.Stat(path)
	must(t, err)
	if content, err := os.ReadFile(path); err != nil || string(content) != "third" || info.Mode() != 0o600 {
		t.Errorf("%q, %s, %v", content, info.Mode(), err)
	}
	link := filepath.Join(dir, "link.json")
	must(t, os.Symlink("file.json", link))
	for _, replace := range []bool{false, true} {
		for _, irregular := range []string{link, dir, "/dev/null"} {
			if err := WriteFile(irregular, nil, replace); err == nil {
				t.Errorf("%s was written", irregular)
			}
		}
	}
	t.Chdir(dir)
	must(t, WriteFile("here.json", nil, false))
	if got := namesIn(t, dir); !slices.Equal(got, []string{"file.json", "here.json", "link.json"}) {
		t.Errorf("in the directory is %v", got)
	}
}
