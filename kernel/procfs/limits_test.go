package procfs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// limitsFile prints a /proc/PID/limits around a soft and hard limit of open files.
func limitsFile(soft, hard string) string {
	return "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max cpu time              unlimited            unlimited            seconds   \n" +
		"Max processes             96365                96365                processes \n" +
		fmt.Sprintf("Max open files            %-20s %-20s files     \n", soft, hard) +
		"Max locked memory         8388608              8388608              bytes     \n" +
		"Max nice priority         0                    0                    \n"
}

func TestSoftLimitOfOpenFiles(t *testing.T) {
	file := limitsFile("1024", "524288")
	for name, test := range map[string]struct {
		data string
		want uint64
		err  error
	}{
		"a number":                         {file, 1024, nil},
		"unlimited":                        {limitsFile("unlimited", "unlimited"), closewait.UnlimitedFDs, nil},
		"hard limit alone unlimited":       {limitsFile("20000", "unlimited"), 20000, nil},
		"zero":                             {limitsFile("0", "4096"), 0, nil},
		"as large as the column":           {limitsFile("18446744073709551614", "18446744073709551614"), math.MaxUint64 - 1, nil},
		"no other line":                    {"Max open files 7 8 files", 7, nil},
		"empty":                            {"", 0, host.ErrMalformed},
		"other lines only":                 {strings.ReplaceAll(file, "open", "shut"), 0, host.ErrMalformed},
		"not at the start of its line":     {strings.ReplaceAll(file, "Max open", "xMax open"), 0, host.ErrMalformed},
		"cut before the soft limit":        {file[:strings.Index(file, "1024")], 0, host.ErrMalformed},
		"cut within the soft limit":        {file[:strings.Index(file, "1024")+2], 0, host.ErrMalformed},
		"cut within unlimited":             {"Max open files            unlimited", 0, host.ErrMalformed},
		"line that ends with the limit":    {"Max open files            10\n24 files\n", 0, host.ErrMalformed},
		"negative":                         {limitsFile("-1", "4096"), 0, host.ErrMalformed},
		"no number":                        {limitsFile("1e3", "4096"), 0, host.ErrMalformed},
		"beyond 64 bits":                   {limitsFile("18446744073709551616", "4096"), 0, host.ErrMalformed},
		"no soft limit, but on a next one": {"Max open files \nMax locked memory 8 8 bytes\n", 0, host.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseMaxOpenFiles([]byte(test.data))
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %d, %v, want %d, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestSoftLimitOfThisProcessIsWhatTheKernelSays(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseMaxOpenFiles(data); got != limit.Cur || err != nil {
		t.Errorf("got %d, %v, want %d", got, err, limit.Cur)
	}
}

func FuzzParseMaxOpenFiles(f *testing.F) {
	f.Add([]byte(limitsFile("1024", "unlimited")))
	f.Add([]byte(limitsFile("unlimited", "unlimited")))
	f.Add([]byte("Max open files"))
	f.Add([]byte("Max open files \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		limit, err := parseMaxOpenFiles(data)
		if err != nil {
			if limit != 0 || !errors.Is(err, host.ErrMalformed) {
				t.Errorf("got %d, %v", limit, err)
			}
			return
		}
		printed := fmt.Sprint(limit)
		if limit == closewait.UnlimitedFDs {
			printed = "unlimited"
		}
		if again, err := parseMaxOpenFiles([]byte(limitsFile(printed, "0"))); again != limit || err != nil {
			t.Errorf("%d is printed and read as %d, %v", limit, again, err)
		}
		if !strings.Contains(string(data), printed) && !strings.Contains(string(data), "0"+printed) && limit != closewait.UnlimitedFDs {
			t.Errorf("%d does not stand in %q", limit, data)
		}
	})
}
