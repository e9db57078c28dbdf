package hosttest

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if err := Move(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	goleak.VerifyTestMain(m)
}

func TestNoOtherProcessIsThere(t *testing.T) {
	Require(t)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != os.Getpid() {
			t.Errorf("process %d is there", pid)
		}
	}
	if os.Getpid() != 1 {
		t.Errorf("the tests have pid %d, want 1", os.Getpid())
	}
}

func TestOnlyLoopbackIsThereAndUp(t *testing.T) {
	Require(t)
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if up := i.Flags&net.FlagUp != 0; up != (i.Name == "lo") {
			t.Errorf("interface %s is up: %v", i.Name, up)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

// TestATestBinaryThatIsRunAgainStaysThere covers the workers of a fuzz test.
func TestATestBinaryThatIsRunAgainStaysThere(t *testing.T) {
	Require(t)
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if err := Move(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Readlink("/proc/self/ns/net"); err != nil || after != before {
		t.Errorf("moved on from %s to %s: %v", before, after, err)
	}
}
