package action

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestBootHasTheIDAndTheUptimeOfTheKernel(t *testing.T) {
	e := newExecutor(t)
	before := uptime(t)
	boot, err := e.Boot()
	after := uptime(t)
	if err != nil || !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(boot.ID) {
		t.Errorf("id %q, %v", boot.ID, err)
	}
	const precision = 10 * time.Millisecond // of /proc/uptime
	if boot.Uptime < before || boot.Uptime > after+precision {
		t.Errorf("uptime %v, want between %v and %v", boot.Uptime, before, after)
	}
}

// uptime reads /proc/uptime, which includes suspended time.
func uptime(t *testing.T) time.Duration {
	t.Helper()
	data, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.Fields(string(data))[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}
