package main

import (
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// maxWait bounds the wait for what takes milliseconds on an idle machine.
const maxWait = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClientsAreSpreadOverAddresses(t *testing.T) {
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	elsewhere := netip.MustParseAddr("192.0.2.1")
	tests := []struct {
		name string
		n    int
		to   netip.Addr
		want string
	}{
		{"the kernel chooses the first", 0, v4, "invalid IP"},
		{"the second has a /24 of its own", 1, v4, "127.16.1.1"},
		{"the 256th is in the next /16", 256, v4, "127.17.0.1"},
		{"IPv6 has one loopback address", 3, v6, "invalid IP"},
		{"other destinations accept no loopback address", 3, elsewhere, "invalid IP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clientAddr(tt.n, tt.to).String(); got != tt.want {
				t.Errorf("client %d for %v comes from %s, want %s", tt.n, tt.to, got, tt.want)
			}
		})
	}
}
