package main

import (
	"cmp"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"unicode/utf8"

	"closewait_exporter/internal/leaktest/tcp"
)

// identity says as what kind of process to leak.
type identity struct {
	comm          string // raw bytes; empty: as started
	dropUID       int    // 0: keep the user
	nofile        uint64 // soft limit of descriptors; 0: as high as permitted
	loUp          bool
	ignoreSIGTERM bool
	privateTable  bool // a thread with a descriptor table of its own does everything
	zombieLeader  bool // the main thread ends, the others run on
}

// parseComm reads a name with the escapes of a Go string. Quotes need no escape.
func parseComm(s string) (string, error) {
	var name []byte
	for rest := s; rest != ""; {
		value, isRune, tail, err := strconv.UnquoteChar(rest, 0)
		if err != nil || value == 0 {
			return "", fmt.Errorf("--comm=%s: write it as in a Go string, such as a\\nb or \\xff; without a NUL", s)
		}
		if isRune {
			name = utf8.AppendRune(name, value)
		} else {
			name = append(name, byte(value))
		}
		rest = tail
	}
	return string(name), nil
}

// nameOrDefault is the name of the process.
func (i *identity) nameOrDefault() string { return cmp.Or(i.comm, "leak") }

// apply does what has to be done before there are sockets.
func (i *identity) apply() error {
	if i.ignoreSIGTERM {
		signal.Ignore(syscall.SIGTERM)
	}
	if i.comm != "" {
		if err := rename(i.comm); err != nil {
			return err
		}
	}
	if i.nofile > 0 {
		if err := limitDescriptors(i.nofile); err != nil {
			return err
		}
	}
	if i.loUp {
		tcp.RaiseTimeWaitLimit()
		return tcp.RaiseLoopback()
	}
	return nil
}

// rename sets the name of the process; the kernel keeps 15 bytes of it and accepts any bytes.
func rename(comm string) error {
	f, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("change the name: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(comm); err != nil {
		return fmt.Errorf("change the name: %w", err)
	}
	return nil
}

func limitDescriptors(soft uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of descriptors: %w", err)
	}
	limit.Cur = soft
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("--nofile=%d: the hard limit is %d: %w", soft, limit.Max, err)
	}
	return nil
}

// drop gives up root, in all threads of the process.
func (i *identity) drop() error {
	if i.dropUID == 0 {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("--drop-uid=%d (needs root): %w", i.dropUID, err)
	}
	if err := syscall.Setgid(i.dropUID); err != nil {
		return fmt.Errorf("--drop-uid=%d: %w", i.dropUID, err)
	}
	if err := syscall.Setuid(i.dropUID); err != nil {
		return fmt.Errorf("--drop-uid=%d: %w", i.dropUID, err)
	}
	return nil
}
