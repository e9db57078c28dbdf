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
		within   []int
		reserved string
		want     int // -1: malformed
	}{
		{[]int{32768, 60999}, "", 28232},
		{[]int{32768, 60999}, "40000", 28231},
		{[]int{32768, 60999}, "8080,40000-40009,60999-65535", 28221},
		{[]int{32768, 60999}, "1-32767,61000-65535", 28232},
		{[]int{40000, 40063}, "1-65535", 0},
		{[]int{40000, 40000}, "", 1},
		{[]int{1, 65535}, "", 65535},
		{nil, "", -1},
		{[]int{32768}, "", -1},
		{[]int{60999, 32768}, "", -1},
		{[]int{-1, 32768}, "", -1},
		{[]int{32768, 70000}, "", -1},
		{[]int{32768, 60999}, "a-b", -1},
		{[]int{32768, 60999}, "2-1", -1},
	} {
		n, err := usablePorts(c.within, c.reserved)
		if n != c.want || (err != nil) != (c.want < 0) || err != nil && !errors.Is(err, host.ErrMalformed) {
			t.Errorf("%v without %q: %d, %v; want %d", c.within, c.reserved, n, err, c.want)
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
		if n, err := usablePorts([]int{int(low), int(high)}, reserved); n != want || err != nil {
			t.Errorf("%d-%d without %s: %d, %v; want %d", low, high, reserved, n, err, want)
		}
	})
}

func FuzzUsablePortsOfAnyText(f *testing.F) {
	f.Add(32768, 60999, "8080,9000-9010")
	f.Fuzz(func(t *testing.T, low, high int, reserved string) {
		if n, err := usablePorts([]int{low, high}, reserved); (err != nil) != (n < 0) || n > 65536 {
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
