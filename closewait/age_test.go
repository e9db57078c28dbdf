package closewait

import (
	"testing"
	"time"
)

// TestNoACKMakesASocketOlderThanTheLastScanWithoutIt: a peer can send its FIN with an old ACK
// number, and the kernel then reports the time of an earlier ACK.
func TestNoACKMakesASocketOlderThanTheLastScanWithoutIt(t *testing.T) {
	only := []Process{process(alice)}
	scenarios := map[string][]scanStep{
		"an old ACK counts from the last scan without the socket": {
			{at: 0, rows: []SocketSample{row(2, heldBy(alice))}, procs: only, want: "p100 1+0 entered=1 left=0 [2 age=0s quiet=0s]; total=1 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=1m0s quiet=1m0s] [2 age=1m0s quiet=1m0s]; total=2 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice)), row(2, heldBy(alice))}, procs: only, want: "p100 2+0 entered=2 left=0 [1 age=2m0s quiet=2m0s] [2 age=2m0s quiet=2m0s]; total=2 gone=0"},
		},
		"a younger ACK makes it younger": {
			{at: 0, want: "total=0 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Second))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=1s quiet=1s]; total=1 gone=0"},
		},
		"a scan that could not read its namespace says nothing about a socket": {
			{at: 0, want: "total=0 gone=0"},
			{at: time.Minute, unread: []NetNS{testNS}, want: "total=0 gone=0"},
			{at: 2 * time.Minute, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=2m0s quiet=2m0s]; total=1 gone=0"},
		},
		"a socket in a namespace that was never read before may be as old as the kernel says": {
			{at: 0, unread: []NetNS{testNS}, want: "total=0 gone=0"},
			{at: time.Minute, rows: []SocketSample{row(1, heldBy(alice), lastACK(time.Hour))}, procs: only, want: "p100 1+0 entered=1 left=0 [1 age=1h0m0s quiet=1h0m0s]; total=1 gone=0"},
		},
	}
	for name, steps := range scenarios {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}
