package host

import (
	"testing"
)

// openHost opens /proc until the end of the test.
func openHost(t testing.TB) *Host {
	t.Helper()
	h, err := Open(DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}
