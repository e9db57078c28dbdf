package main

import (
	"fmt"
	"net/netip"

	"github.com/alecthomas/kingpin/v2"
)

// flags are options as given: some are plain values, the others are parsed after all flags are
// known.
type flags struct {
	plain                      options
	listen, idleListen, unread []string
	connect, comm              string
}

func serverFlags(cmd *kingpin.CmdClause) *flags {
	f := &flags{}
	f.amounts(cmd)
	f.addresses(cmd)
	f.holders(cmd)
	f.process(cmd)
	return f
}

func (f *flags) amounts(cmd *kingpin.CmdClause) {
	o := &f.plain
	cmd.Flag("sockets", "Sockets to leak: accepted, the client closed.").IntVar(&o.sockets)
	cmd.Flag("unaccepted", "Connections that are never accepted; the client closed. At most 3000.").IntVar(&o.unaccepted)
	cmd.Flag("outbound", "Sockets to leak as a client: connected, the server closed.").IntVar(&o.outbound)
	cmd.Flag("stream", "Half-closed connections on which bytes keep moving: CLOSE_WAIT, but no leak.").IntVar(&o.streams)
	cmd.Flag("slow-readers", "Half-closed connections whose clients read slowly, so that the send queue is never empty: no leak.").IntVar(&o.slowReaders)
	cmd.Flag("closed", "Sockets that the client reset and that are still held: state CLOSE.").IntVar(&o.closed)
	cmd.Flag("fin-wait2", "Connections whose server end was shut down for writing and whose client end stays: a socket in FIN_WAIT2, and a leaked one of the client.").
		IntVar(&o.finWait2)
	cmd.Flag("refused", "Sockets whose connect was refused.").IntVar(&o.refused)
	cmd.Flag("bare", "Sockets that were never connected.").IntVar(&o.bare)
	cmd.Flag("established", "Healthy connections that stay open; each is two sockets of this process.").IntVar(&o.established)
	cmd.Flag("rate", "Number of further sockets to leak per second, until the descriptors run out.").Float64Var(&o.rate)
	cmd.Flag("churn", "Number of healthy connections per second that open and close; each is in CLOSE_WAIT for 20 ms or 1/rate.").Float64Var(&o.churnRate)
	cmd.Flag("unread", "What is left unread: none (end of file read), fin (only the FIN unread) or a number of payload bytes. Repeatable: sockets take turns.").
		Default("fin").StringsVar(&f.unread)
	cmd.Flag("keepalive", "Switch keepalive on (probes after tcp_keepalive_time, 2 hours).").BoolVar(&o.keepalive)
	cmd.Flag("mptcp", "Use MPTCP at both ends.").BoolVar(&o.mptcp)
}

func (f *flags) addresses(cmd *kingpin.CmdClause) {
	o := &f.plain
	cmd.Flag("listen", "Address to listen on; port 0 for any free one. Repeatable: clients take turns.").Default("127.0.0.1:0").StringsVar(&f.listen)
	cmd.Flag("idle-listen", "Address on which connections are not accepted; by default the addresses of --listen with any port. Repeatable.").StringsVar(&f.idleListen)
	cmd.Flag("connect", "Address through which clients reach a wildcard listener; 127.0.0.1 with --listen=[::]:0 makes v4-mapped sockets.").StringVar(&f.connect)
	cmd.Flag("reuseport", "Number of listeners on each address, with SO_REUSEPORT.").IntVar(&o.reusePort)
	cmd.Flag("peers", "Number of client addresses, each in a /24 of its own (IPv4 only); 0 for one per 1500 sockets.").IntVar(&o.peers)
}

func (f *flags) holders(cmd *kingpin.CmdClause) {
	o := &f.plain
	cmd.Flag("children", "Child processes that inherit the leaked sockets.").IntVar(&o.children)
	cmd.Flag("pass", "Pass the leaked sockets to a further child (SCM_RIGHTS) and close our own descriptors.").BoolVar(&o.pass)
	cmd.Flag("in-flight", "Send the leaked sockets (SCM_RIGHTS), never receive them, and close our own descriptors: no process holds them.").
		BoolVar(&o.inFlight)
	cmd.Flag("hand-over", "Send the leaked sockets (SCM_RIGHTS) to the process that listens on this unix socket, and close our own descriptors.").
		PlaceHolder("PATH").StringVar(&o.handOver)
	cmd.Flag("receive", "Listen on this unix socket, and keep all descriptors that other processes send.").PlaceHolder("PATH").StringVar(&o.receive)
	cmd.Flag("private-fdtable", "Hold the sockets in the descriptor table of one thread, not of the process.").BoolVar(&o.privateTable)
	cmd.Flag("zombie-leader", "End the main thread; other threads go on and hold the sockets.").BoolVar(&o.zombieLeader)
}

func (f *flags) process(cmd *kingpin.CmdClause) {
	o := &f.plain
	cmd.Flag("comm", `Name of the process, as in a Go string: a\nb, \xff; at most 15 bytes count.`).StringVar(&f.comm)
	cmd.Flag("drop-uid", "Become this user and group when the listeners are open, before there are sockets.").IntVar(&o.dropUID)
	cmd.Flag("nofile", "Soft limit of open descriptors.").Uint64Var(&o.nofile)
	cmd.Flag("ignore-sigterm", "Ignore SIGTERM.").BoolVar(&o.ignoreSIGTERM)
	cmd.Flag("lo-up", "Set the loopback interface up and keep all ends in FIN_WAIT2, in a new network namespace.").BoolVar(&o.loUp)
	cmd.Flag("exit-with-stdin", "End when stdin is closed, as it is when the parent process ends.").BoolVar(&o.exitWithStdin)
}

// parse parses the flags that are not plain, and checks all of them.
func (f *flags) parse() (options, error) {
	o := f.plain
	var err error
	if o.listen, err = parseAddrs("listen", f.listen); err != nil {
		return o, err
	}
	if o.idleListen, err = parseAddrs("idle-listen", f.idleListen); err != nil {
		return o, err
	}
	if len(o.idleListen) == 0 {
		for _, addr := range o.listen {
			o.idleListen = append(o.idleListen, netip.AddrPortFrom(addr.Addr(), 0))
		}
	}
	if f.connect != "" {
		if o.connect, err = netip.ParseAddr(f.connect); err != nil {
			return o, fmt.Errorf("--connect=%s: give an address, such as 127.0.0.1: %w", f.connect, err)
		}
	}
	for _, s := range f.unread {
		left, err := parseUnread(s)
		if err != nil {
			return o, err
		}
		o.unread = append(o.unread, left)
	}
	if o.comm, err = parseComm(f.comm); err != nil {
		return o, err
	}
	return o, o.check()
}

func parseAddrs(flag string, given []string) ([]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	for _, s := range given {
		addr, err := netip.ParseAddrPort(s)
		if err != nil {
			return nil, fmt.Errorf("--%s=%s: give an address and a port, such as 127.0.0.1:0 or [::1]:0: %w", flag, s, err)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
