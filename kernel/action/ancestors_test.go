package action

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
	"closewait_exporter/internal/leaktest"
)

func TestAncestorsLeadToTheFirstProcess(t *testing.T) {
	e := newExecutor(t)
	child := start(t, nil, "sh", "-c", "sleep 1000 & wait")
	var grandchild int
	leaktest.Eventually(t, soon, func() (bool, string) {
		children, _ := os.ReadFile("/proc/" + itoa(child.Process.Pid) + "/task/" + itoa(child.Process.Pid) + "/children")
		grandchild, _ = strconv.Atoi(strings.TrimSpace(string(children)))
		return grandchild != 0, "the shell has no child"
	})
	defer func() { _ = syscall.Kill(grandchild, syscall.SIGKILL) }()
	own, err := e.Ancestors()
	if err != nil || own[0] != kerneltest.IdentityOf(t, os.Getpid()) {
		t.Fatalf("own ancestors %v, %v", own, err)
	}
	want := append([]closewait.ProcessID{kerneltest.IdentityOf(t, grandchild), kerneltest.IdentityOf(t, child.Process.Pid)}, own...)
	if list, err := e.ancestorsOf(grandchild); err != nil || !slices.Equal(list, want) {
		t.Errorf("%v, %v, want %v", list, err, want)
	}
	if last := own[len(own)-1]; last.PID != 1 {
		t.Errorf("the last is %v, want process 1", last)
	}
}
