package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"
)

// maxUnaccepted is the number of connections that an accept queue takes with its default limit.
const maxUnaccepted = 3000

// options say what to leak and how.
type options struct {
	listen     []netip.AddrPort
	idleListen []netip.AddrPort // of the sockets that are not accepted
	connect    netip.Addr       // the zero Addr: the loopback address of the listener's family
	reusePort  int              // listeners on each address; 0: one, without SO_REUSEPORT
	unread     []unread         // in turn

	sockets, unaccepted, outbound, streams, slowReaders, closed, finWait2, refused, bare, established int

	rate      float64 // further sockets a second
	churnRate float64 // healthy connections a second
	peers     int
	keepalive bool
	mptcp     bool

	exitWithStdin bool

	sharing
	identity
	progress progress
}

// check reports what cannot be done.
func (o *options) check() error {
	counts := []struct {
		flag string
		n    int
	}{
		{"sockets", o.sockets}, {"unaccepted", o.unaccepted}, {"outbound", o.outbound}, {"stream", o.streams},
		{"slow-readers", o.slowReaders}, {"closed", o.closed}, {"fin-wait2", o.finWait2}, {"refused", o.refused}, {"bare", o.bare}, {"established", o.established}, {"reuseport", o.reusePort}, {"peers", o.peers},
		{"children", o.children}, {"drop-uid", o.dropUID},
	}
	var errs error
	for _, c := range counts {
		if c.n < 0 {
			errs = errors.Join(errs, fmt.Errorf("--%s=%d: give 0 or more", c.flag, c.n))
		}
	}
	if o.unaccepted > maxUnaccepted {
		errs = errors.Join(errs, fmt.Errorf("--unaccepted=%d: the accept queue takes %d", o.unaccepted, maxUnaccepted))
	}
	if o.rate < 0 || o.churnRate < 0 || math.IsNaN(o.rate+o.churnRate) {
		errs = errors.Join(errs, errors.New("--rate and --churn: give 0 or more"))
	}
	if o.pass && o.inFlight || o.handOver != "" && (o.pass || o.inFlight) {
		errs = errors.Join(errs, errors.New("--pass, --in-flight and --hand-over: a socket can be sent away once"))
	}
	return errs
}

// protocol is the protocol of all sockets.
func (o *options) protocol() int {
	if o.mptcp {
		return unix.IPPROTO_MPTCP
	}
	return unix.IPPROTO_TCP
}

// shopOptions are the options of the demonstration: some sockets of each kind, growing slowly.
func shopOptions() options {
	return options{
		listen:     []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")},
		idleListen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		unread:     []unread{onlyFIN, nothing, 300},
		sockets:    3,
		unaccepted: 2,
		outbound:   1,
		rate:       1,
		identity:   identity{comm: "leaky-shop"},
		progress:   progress{wanted: true},
	}
}
