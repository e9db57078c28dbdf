package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Event is what a program of a Tracer can see.
type Event uint8

// The events, in the order in which their programs are attached: where it is seen how a socket is
// made, the read of its end is seen too.
const (
	Reads    Event = iota // the process reads from a connection
	Writes                // it writes to one
	Accepts               // it accepts one
	Connects              // it opens one
)

func (e Event) String() string { return [...]string{"read", "write", "accept", "connect"}[e] }

// hooks are the programs that see an event, and where they are attached. The first that the kernel
// supports is used.
var hooks = [...][]struct{ program, at string }{
	Reads:    {{stacksProgReceived, "tp_btf/sock_recv_length"}, {stacksProgReceivedBefore63, "fexit/tcp_recvmsg"}},
	Writes:   {{stacksProgSent, "tp_btf/sock_send_length"}, {stacksProgSentBefore63, "fexit/tcp_sendmsg"}},
	Accepts:  {{stacksProgAccepted, "fexit/inet_csk_accept"}, {stacksProgAcceptedBefore610, "fexit/inet_csk_accept (before 6.10)"}},
	Connects: {{stacksProgStateChanged, "tp_btf/inet_sock_set_state"}, {stacksProgConnecting, "fentry/tcp_connect"}},
}

// Hook says how a Tracer sees an event.
type Hook struct {
	Event Event
	At    string // empty: it does not see it
	Error error  // why what is tried before At does not work
}

// attachHook attaches the first program that sees an event. maps are the maps of the tracer.
func attachHook(event Event, maps map[string]*ebpf.Map) (h Hook, attached link.Link) {
	h.Event = event
	var failed []error
	for _, hook := range hooks[event] {
		attached, err := attachProgram(hook.program, maps)
		if err == nil {
			h.At, h.Error = hook.at, errors.Join(failed...)
			return h, attached
		}
		failed = append(failed, fmt.Errorf("%s: %w", hook.at, shortened(err)))
	}
	h.Error = errors.Join(failed...)
	return h, nil
}

func attachProgram(name string, maps map[string]*ebpf.Map) (link.Link, error) {
	spec, err := loadStacks()
	if err != nil {
		return nil, err
	}
	keepPrograms(spec, name)
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: maps})
	if err != nil {
		return nil, err
	}
	defer loaded.Close() // the link keeps the program in the kernel
	return link.AttachTracing(link.TracingOptions{Program: loaded.Programs[name]})
}

// shortened leaves out what is for developers: the log of the verifier, and that the limit of
// locked memory may be too low, which package ebpf says whenever something is not permitted.
func shortened(err error) error {
	if _, rejected := errors.AsType[*ebpf.VerifierError](err); rejected {
		return errors.New("the kernel refuses the program")
	}
	if errno, found := errors.AsType[unix.Errno](err); found {
		return errno
	}
	return err
}
