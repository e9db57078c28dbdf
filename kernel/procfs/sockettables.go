package procfs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// SocketTables reads the socket tables /proc/PID/net/tcp and tcp6 of network namespaces. It is not
// safe for concurrent use, since it has a buffer.
type SocketTables struct {
	host *host.Host
	buf  []byte
}

// NewSocketTables returns a reader of the socket tables of a host.
func NewSocketTables(h *host.Host) *SocketTables {
	return &SocketTables{host: h, buf: make([]byte, 32<<10)}
}

// Each calls f with the rows of a namespace in the wanted states. The files are opened at each
// call, as some kernels break seeking in them. Rows that cannot be parsed are counted as scan
// errors. Where /proc denies reading the namespace of a process, Each calls where, unless that is
// nil (host.StillIn).
func (t *SocketTables) Each(ctx context.Context, ns host.Namespace, where func(via string) (closewait.NetNS, error), wanted States, f func(TCPRow)) error {
	for _, name := range []string{"tcp", "tcp6"} {
		if err := t.readTable(ctx, ns, name, where, wanted, f); err != nil {
			return err
		}
	}
	return nil
}

func (t *SocketTables) readTable(ctx context.Context, ns host.Namespace, name string, where func(via string) (closewait.NetNS, error), wanted States, f func(TCPRow)) error {
	path := t.host.Path + "/" + ns.Via + "/net/" + name
	if ns.Own {
		path = "/proc/self/net/" + name
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && name == "tcp6" {
		return nil // the kernel has no IPv6
	}
	if err != nil {
		return fmt.Errorf("read socket table: %w", err)
	}
	defer file.Close()
	// An open table stays bound to its namespace, even if the process moves to another one.
	if err := t.host.StillIn(ns, where); err != nil {
		return err
	}
	malformed, err := parseTCP(file, t.buf, wanted, f)
	t.host.Errors.AddMalformedRows(malformed)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return ctx.Err()
}
