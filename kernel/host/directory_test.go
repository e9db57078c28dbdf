package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFilesAreReadWhateverTheirSize(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDirectory(unix.AT_FDCWD, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, size := range []int{0, 1, 15, 16, 17, 4096, 100_000} {
		want := strings.Repeat("x", size)
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, buf := range [][]byte{nil, make([]byte, 16), make([]byte, 0, 200_000)} {
			if got, err := d.Read("file", buf); err != nil || string(got) != want {
				t.Errorf("%d bytes into a buffer of %d: got %d bytes, %v", size, cap(buf), len(got), err)
			}
		}
	}
	if _, err := d.Read("none", nil); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v for a file that is not there", err)
	}
	if _, err := d.Read(".", nil); !errors.Is(err, unix.EISDIR) {
		t.Errorf("error %v for a directory", err)
	}
}
