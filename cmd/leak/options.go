package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
)

// mostUnaccepted is how many connections an accept queue takes for certain.
const mostUnaccepted = 3000

// options say what to leak and how.
type options struct {
	listen     []netip.AddrPort
	idleListen []netip.AddrPort // of the sockets that are not accepted
	connect    netip.Addr       // the zero Addr: the loopback address of the listener's family
	reusePort  int              // listeners on each address; 0: one, without SO_REUSEPORT
	unread     []unread         // in turn

	sockets, unaccepted, outbound, streams, defunct, established int

	rate      float64 // further sockets a second
	churnRate float64 // healthy connections a second
	peers     int
	keepalive bool

	exitWithStdin bool

	sharing
	disguise
	talk talk
}

// check tells what cannot be.
func (o *options) check() error {
	counts := []struct {
		flag string
		n    int
	}{
		{"sockets", o.sockets}, {"unaccepted", o.unaccepted}, {"outbound", o.outbound}, {"stream", o.streams},
		{"defunct", o.defunct}, {"established", o.established}, {"reuseport", o.reusePort}, {"peers", o.peers},
		{"children", o.children}, {"drop-uid", o.dropUID},
	}
	var errs error
	for _, c := range counts {
		if c.n < 0 {
			errs = errors.Join(errs, fmt.Errorf("--%s=%d: give 0 or more", c.flag, c.n))
		}
	}
	if o.unaccepted > mostUnaccepted {
		errs = errors.Join(errs, fmt.Errorf("--unaccepted=%d: the accept queue takes %d", o.unaccepted, mostUnaccepted))
	}
	if o.rate < 0 || o.churnRate < 0 || math.IsNaN(o.rate+o.churnRate) {
		errs = errors.Join(errs, errors.New("--rate and --churn: give 0 or more"))
	}
	if o.pass && o.inFlight {
		errs = errors.Join(errs, errors.New("--pass and --in-flight: a socket can be sent away once"))
	}
	return errs
}

// shopOptions are those of the demo: about everything that can be told apart, growing slowly.
func shopOptions() options {
	return options{
		listen:     []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")},
		idleListen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		unread:     []unread{onlyFIN, nothing, 300},
		sockets:    3,
		unaccepted: 2,
		outbound:   1,
		rate:       1,
		disguise:   disguise{comm: "leaky-shop"},
		talk:       talk{wanted: true},
	}
}
