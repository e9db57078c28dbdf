package bpf

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// HasSocketLookup reports whether a BPF program chooses the listeners of connections (sk_lookup) in
// the network namespace of the calling thread. It needs CAP_NET_ADMIN and Linux 5.9.
func HasSocketLookup() (bool, error) {
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return false, fmt.Errorf("open own network namespace: %w", err)
	}
	defer ns.Close()
	result, err := link.QueryPrograms(link.QueryOptions{Target: int(ns.Fd()), Attach: ebpf.AttachSkLookup})
	if err != nil {
		return false, fmt.Errorf("query sk_lookup: %w", err)
	}
	return len(result.Programs) > 0, nil
}
