package diagnose

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// count formats a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// seconds formats a duration for a sentence.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// address formats an address without the mapping of IPv4 into IPv6.
func address(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

// first lists up to a maximum of numbers.
func first(numbers []int, most int) string {
	var list []string
	for _, n := range numbers[:min(len(numbers), most)] {
		list = append(list, fmt.Sprint(n))
	}
	if len(numbers) > most {
		list = append(list, "...")
	}
	return strings.Join(list, ", ")
}
