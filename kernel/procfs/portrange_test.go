package procfs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"closewait_exporter/internal/leaktest"
	"closewait_exporter/kernel/host"
)

func TestUsablePortsAreThoseOfTheRangeThatAreNotReserved(t *testing.T) {
	for _, c := range []struct {
		within, reserved string
		want             int // -1: malformed
	}{
		{"32768\t60999\n", "\n", 28232},
		{"32768\t60999\n", "40000\n", 28231},
		{"32768\t60999\n", "8080,40000-40009,60999-65535\n", 28221},
		{"32768\t60999\n", "1-32767,61000-65535\n", 28232},
		{"40000\t40063\n", "1-65535\n", 0},
		{"40000\t40000\n", "\n", 1},
		{"1\t65535\n", "", 65535},
		{"", "\n", -1},
		{"32768\n", "\n", -1},
		{"60999\t32768\n", "\n", -1},
		{"32768\t70000\n", "\n", -1},
		{"32768\t60999\n", "a-b\n", -1},
		{"32768\t60999\n", "2-1\n", -1},
	} {
		n, err := usablePorts([]byte(c.within), []byte(c.reserved))
		if n != c.want || (err != nil) != (c.want < 0) || err != nil && !errors.Is(err, host.ErrMalformed) {
			t.Errorf("%q without %q: %d, %v; want %d", c.within, c.reserved, n, err, c.want)
		}
	}
}

// FuzzUsablePorts compares with counting port by port.
func FuzzUsablePorts(f *testing.F) {
	f.Add(uint16(32768), uint16(60999), uint16(40000), uint16(10), uint16(8080))
	f.Fuzz(func(t *testing.T, low, high, first, length, single uint16) {
		if low > high || int(first)+int(length) > 65535 {
			return
		}
		last := first + length
		if first <= single && single <= last {
			single = last // the kernel writes no overlap
		}
		reserved := fmt.Sprintf("%d-%d", first, last)
		if single != last {
			reserved += fmt.Sprintf(",%d", single)
		}
		want := 0
		for port := int(low); port <= int(high); port++ {
			if (port < int(first) || port > int(last)) && (port != int(single) || single == last) {
				want++
			}
		}
		if n, err := usablePorts(fmt.Appendf(nil, "%d\t%d\n", low, high), []byte(reserved+"\n")); n != want || err != nil {
			t.Errorf("%d-%d without %s: %d, %v; want %d", low, high, reserved, n, err, want)
		}
	})
}

func FuzzUsablePortsOfAnyText(f *testing.F) {
	f.Add([]byte("32768\t60999\n"), []byte("8080,9000-9010\n"))
	f.Fuzz(func(t *testing.T, within, reserved []byte) {
		if n, err := usablePorts(within, reserved); (err != nil) != (n < 0) || n > 65536 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestThePortRangeOfEachNamespaceIsRead(t *testing.T) {
	leaktest.RequireRoot(t)
	l := leaktest.Where{NetNS: true}.Start(t, "--sockets=1")
	h, err := host.Open(host.DefaultPath)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	list := h.Namespaces([]int{l.PID})
	if len(list) != 2 {
		t.Fatalf("namespaces %+v", list)
	}
	there := list[1]
	if err := h.InNamespace(t.Context(), there.ID, func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40063"), 0),
			os.WriteFile("/proc/sys/net/ipv4/ip_local_reserved_ports", []byte("40000-40003,50000"), 0),
		)
	}); err != nil {
		t.Fatal(err)
	}
	usable := NewPortRanges(h).Usable(list)
	if usable[there.ID] != 60 {
		t.Errorf("%d usable ports, want 60", usable[there.ID])
	}
	here, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	if n := usable[h.OwnNetNS.ID]; n == 0 || n == 60 && !strings.HasPrefix(string(here), "40000") {
		t.Errorf("%d usable ports in the namespace of the test", n)
	}
}
