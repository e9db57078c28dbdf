package deploy

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestTheManPageHasEveryFlag(t *testing.T) {
	page := run(t, "scripts/man")
	if !strings.HasPrefix(page, `.TH CLOSEWAIT_EXPORTER 1 "`) || !strings.Contains(page, "\nclosewait_exporter \\- ") {
		t.Errorf("title or name are missing:\n%.300s", page)
	}
	help := run(t, exporter(t), "--help")
	for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--(?:\[no-\])?([a-z.-]+)`).FindAllStringSubmatch(help, -1) {
		if !strings.Contains(page, `\-\-`+strings.ReplaceAll(flag[1], "-", `\-`)) {
			t.Errorf("no --%s in the page", flag[1])
		}
	}
}

func TestTroffReportsNothing(t *testing.T) {
	require(t, "groff")
	command := exec.CommandContext(t.Context(), "groff", "-man", "-ww", "-z")
	command.Stdin = strings.NewReader(run(t, "scripts/man"))
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("%v\n%s", err, output)
	}
}
