package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/alecthomas/kingpin/v2"
)

// mostUnaccepted leaves room in the accept queue for a batch of clients.
const mostUnaccepted = 3000

// options say what to leak and how.
type options struct {
	listen    []netip.AddrPort
	connect   netip.Addr // the zero Addr: the loopback address of the listener's family
	reusePort int        // listeners on each address; 0: one, without SO_REUSEPORT
	unread    []unread   // in turn

	sockets, unaccepted, outbound, streams, defunct, established int

	rate      float64 // further sockets a second
	peers     int
	keepalive bool

	exitWithStdin bool

	disguise
}

// flags are options as given.
type flags struct {
	plain          options
	listen, unread []string
	connect, comm  string
}

func serverFlags(cmd *kingpin.CmdClause) *flags {
	f := &flags{}
	o := &f.plain
	cmd.Flag("sockets", "Sockets to leak: accepted, the client closed.").Default("0").IntVar(&o.sockets)
	cmd.Flag("unaccepted", "Connections that are never accepted; the client closed. At most 3000.").Default("0").IntVar(&o.unaccepted)
	cmd.Flag("outbound", "Sockets to leak as a client: connected, the server closed.").Default("0").IntVar(&o.outbound)
	cmd.Flag("stream", "Half-closed connections on which bytes keep moving: CLOSE_WAIT, but no leak.").Default("0").IntVar(&o.streams)
	cmd.Flag("defunct", "Sockets that the client reset and that are still held: state CLOSE.").Default("0").IntVar(&o.defunct)
	cmd.Flag("established", "Healthy connections besides; each is two sockets of this process.").Default("0").IntVar(&o.established)
	cmd.Flag("rate", "Leak so many further sockets a second, until the descriptors run out.").Default("0").Float64Var(&o.rate)
	cmd.Flag("unread", "What is left unread: none (end of file read), fin (only the FIN unread) or a number of payload bytes. Repeatable: sockets take turns.").
		Default("fin").StringsVar(&f.unread)
	cmd.Flag("listen", "Address to listen on; port 0 for any free one. Repeatable: clients take turns.").Default("127.0.0.1:0").StringsVar(&f.listen)
	cmd.Flag("connect", "Address through which clients reach a wildcard listener; 127.0.0.1 with --listen=[::]:0 gives v4-mapped sockets.").StringVar(&f.connect)
	cmd.Flag("reuseport", "Open so many listeners on each address, with SO_REUSEPORT.").Default("0").IntVar(&o.reusePort)
	cmd.Flag("peers", "Number of client addresses, one in each /24 (IPv4 only); 0 for as few as the number of sockets allows.").Default("0").IntVar(&o.peers)
	cmd.Flag("keepalive", "Switch keepalive on (probes after tcp_keepalive_time, 2 hours).").BoolVar(&o.keepalive)
	cmd.Flag("comm", "Name of the process, as in a Go string: a\\nb, \\xff; at most 15 bytes count.").StringVar(&f.comm)
	cmd.Flag("drop-uid", "Become this user and group when the listeners are open, before there are sockets.").IntVar(&o.dropUID)
	cmd.Flag("nofile", "Soft limit of open descriptors.").Uint64Var(&o.nofile)
	cmd.Flag("ignore-sigterm", "Ignore SIGTERM.").BoolVar(&o.ignoreSIGTERM)
	cmd.Flag("lo-up", "Set the loopback interface up, in a new network namespace.").BoolVar(&o.loUp)
	cmd.Flag("exit-with-stdin", "End when stdin is closed, so that nothing stays behind when the starter dies.").BoolVar(&o.exitWithStdin)
	return f
}

// parse reads the flags that are not plain, and checks them all.
func (f *flags) parse() (options, error) {
	o := f.plain
	for _, s := range f.listen {
		addr, err := netip.ParseAddrPort(s)
		if err != nil {
			return o, fmt.Errorf("--listen=%s: give an address and a port, such as 127.0.0.1:0 or [::1]:0: %w", s, err)
		}
		o.listen = append(o.listen, addr)
	}
	if f.connect != "" {
		addr, err := netip.ParseAddr(f.connect)
		if err != nil {
			return o, fmt.Errorf("--connect=%s: give an address, such as 127.0.0.1: %w", f.connect, err)
		}
		o.connect = addr
	}
	for _, s := range f.unread {
		left, err := parseUnread(s)
		if err != nil {
			return o, err
		}
		o.unread = append(o.unread, left)
	}
	var err error
	if o.comm, err = parseComm(f.comm); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o *options) check() error {
	var errs error
	for name, n := range map[string]int{
		"sockets": o.sockets, "unaccepted": o.unaccepted, "outbound": o.outbound, "stream": o.streams,
		"defunct": o.defunct, "established": o.established, "reuseport": o.reusePort, "peers": o.peers,
	} {
		if n < 0 {
			errs = errors.Join(errs, fmt.Errorf("--%s=%d: give 0 or more", name, n))
		}
	}
	if o.unaccepted > mostUnaccepted {
		errs = errors.Join(errs, fmt.Errorf("--unaccepted=%d: the accept queue takes %d", o.unaccepted, mostUnaccepted))
	}
	if o.rate < 0 {
		errs = errors.Join(errs, errors.New("--rate="+strconv.FormatFloat(o.rate, 'g', -1, 64)+": give 0 or more"))
	}
	return errs
}

// shopOptions are those of the demo: about everything that can be told apart, growing slowly.
func shopOptions() options {
	return options{
		listen:     []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")},
		unread:     []unread{onlyFIN, nothing, 300},
		sockets:    3,
		unaccepted: 2,
		outbound:   1,
		rate:       1,
	}
}
