package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPathThatIsNoProcFileSystemIsAnErrorThatSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"an empty directory":              {t.TempDir(), "no proc file system"},
		"no such directory":               {"/no/such", "/no/such"},
		"a file instead of the directory": {file, file},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Open(c.path)
			if err == nil {
				h.Close()
				t.Fatal("no error")
			}
			for _, want := range []string{c.want, "--path.procfs"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}
