package rules

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"closewait_exporter/reaper/document"
)

// parsePrefix reads an address or a network. The result is never v4-mapped.
func parsePrefix(text string) (netip.Prefix, error) {
	endpoint, err := parseEndpoint(text)
	if err == nil && endpoint.Port != 0 {
		err = fmt.Errorf("%q has a port, and this is about addresses: remove it", text)
	}
	return endpoint.Prefix, err
}

// parseEndpoint reads host, host:port, network/bits, [v6]:port and [v6]/bits. Hosts are addresses:
// a name would have to be resolved, to another address each time perhaps.
func parseEndpoint(text string) (Endpoint, error) {
	if network, bits, ok := strings.Cut(text, "/"); ok {
		prefix, err := parseNetwork(unbracket(network)+"/"+bits, text)
		return Endpoint{Prefix: prefix}, err
	}
	if addr, err := netip.ParseAddr(unbracket(text)); err == nil {
		return host(addr, 0, text)
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		if both.Port() == 0 {
			return Endpoint{}, fmt.Errorf("%q: no connection has port 0: write a port from 1 to 65535, or none for all", text)
		}
		return host(both.Addr(), both.Port(), text)
	}
	return Endpoint{}, fmt.Errorf("%q is not an address: write one such as 10.0.0.1, 10.0.0.1:443, 10.1.0.0/16, [fd00::1]:443 or [fd00::]/8 "+
		"(in quotes); names are not resolved", text)
}

// warnEveryAddress warns about elements of a list that stand for all addresses of a family.
func warnEveryAddress(s *document.Section, key, effect string) {
	for _, t := range s.Texts(key) {
		if e, err := parseEndpoint(t.Text); err == nil && e.Prefix.Bits() == 0 && e.Port == 0 {
			s.WarnAt(t.Line, key, fmt.Sprintf("%s contains every address of its family, so %s: write a smaller network", t.Text, effect))
		}
	}
}

func host(addr netip.Addr, port uint16, text string) (Endpoint, error) {
	if addr.Zone() != "" {
		return Endpoint{}, fmt.Errorf("%q: the zone has no meaning here: remove %%%s", text, addr.Zone())
	}
	addr = addr.Unmap()
	return Endpoint{Prefix: netip.PrefixFrom(addr, addr.BitLen()), Port: port}, nil
}

func parseNetwork(network, text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network: write an address and its bits, such as 10.1.0.0/16 or [fd00::]/8; all ports are meant", text)
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("%q is not the start of a network: write %s, or %s for the one address", text, masked, prefix.Addr())
	}
	const mapped = 96 // bits before an IPv4 address in a v4-mapped one
	if prefix.Addr().Is4In6() && prefix.Bits() >= mapped {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped)
	}
	return prefix, nil
}

// unbracket removes the brackets around an IPv6 address.
func unbracket(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.Contains(inner, ":") {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			return inner
		}
	}
	return text
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port: write a number from 1 to 65535", text)
	}
	return uint16(n), nil
}
