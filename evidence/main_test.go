package evidence

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// role is the environment variable by which a test runs itself again in another process.
const role = "EVIDENCE_TEST_ROLE"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trustAll is for directories of tests, which are below /tmp.
func trustAll(string) error { return nil }

func open(t testing.TB) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	s, err := Open(dir, trustAll)
	must(t, err)
	return s, dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
