// Package bpf reads sockets and their holders with BPF iterators: programs that the kernel runs for
// each descriptor of each process while their output is read. One pass over the host replaces a
// walk through all of /proc, and needs no entry into other network namespaces. On demand, Tracer
// also records at which stacks one process makes its sockets.
//
// The programs are in bpf/. "make generate" compiles them into the object files beside this file,
// so that building the exporter needs no C compiler. They are not bound to the kernel that they
// were compiled on (CO-RE). They need Linux 5.10 or later with BTF (CONFIG_DEBUG_INFO_BTF).
package bpf

//go:generate go tool bpf2go -tags linux -cflags "-O2 -g -Wall -Werror -mcpu=v3" -target bpfel,bpfeb -no-global-types -type record -type process -type version -type fd_count object bpf/iterator.bpf.c
//go:generate go tool bpf2go -tags linux -cflags "-O2 -g -Wall -Werror -mcpu=v3" -target bpfel,bpfeb -no-global-types -type traced -type birth stacks bpf/stacks.bpf.c
