package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"closewait_exporter/closewait"
)

// Process is an open process: no method is about another process that has got its pid.
type Process interface {
	ID() closewait.ProcessID
	Exited() (bool, error)
	// WithPidfd calls f with the pidfd of the process.
	WithPidfd(f func(pidfd int) error) error
	// Cgroup returns the path of the control group in which systemd keeps the process.
	Cgroup() (string, error)
}

// Units are the units of the host's service manager. They are safe for concurrent use.
type Units struct {
	dial func(context.Context) (bus, error)

	mu  sync.Mutex
	bus bus // nil before the first question, and after a connection that has ended
}

// NewUnits returns the Units of this host. It opens no connection.
func NewUnits() *Units { return &Units{dial: dial} }

// Close closes the connection, if there is one.
func (u *Units) Close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bus != nil {
		u.bus.close()
		u.bus = nil
	}
}

// connect returns the connection. A new one is opened if there is none, or it has ended.
func (u *Units) connect(ctx context.Context) (bus, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bus != nil && u.bus.connected() {
		return u.bus, nil
	}
	b, err := u.dial(ctx)
	if err != nil {
		return nil, err
	}
	u.bus = b
	return b, nil
}

// Supervision returns whether systemd starts a process again. An error means that it is unknown.
func (u *Units) Supervision(ctx context.Context, p Process) (s closewait.Supervision, err error) {
	b, err := u.connect(ctx)
	if err != nil {
		return s, err
	}
	name, found, err := unitOf(ctx, b, p)
	if err != nil {
		return s, fmt.Errorf("unit of process %d: %w", p.ID().PID, err)
	}
	service, err := readService(ctx, b, name, found)
	if err != nil {
		return s, err
	}
	return service.supervision(p.ID().PID), nil
}

// SupervisionOfUnit returns whether systemd starts the main process of a service again, whatever
// the service does at present. It fails with ErrNoUnit if there is no service of that name.
func (u *Units) SupervisionOfUnit(ctx context.Context, name string) (s closewait.Supervision, err error) {
	b, err := u.connect(ctx)
	if err != nil {
		return s, err
	}
	found, err := b.properties(ctx, name)
	if err != nil {
		return s, fmt.Errorf("properties of %s: %w", name, err)
	}
	if found.text("LoadState") != "loaded" || !strings.HasSuffix(found.text("Id"), serviceSuffix) {
		return s, fmt.Errorf("%s: %w", name, ErrNoUnit)
	}
	service, err := readService(ctx, b, name, found)
	if err != nil {
		return s, err
	}
	const anyPID = 1
	service.mainPID, service.active = anyPID, true
	return service.supervision(anyPID), nil
}

// ErrNoUnit says that there is no service of a name.
var ErrNoUnit = errors.New("there is no such service")

const serviceSuffix = ".service"

// unitOf returns the unit of a process and its properties. Without a pidfd systemd is asked by pid.
// So the process must live afterwards, in the same control group, and that must be at or below the
// one of the unit: the name of a group alone proves nothing, because whoever has a delegated group
// can name groups below it as units of the host.
func unitOf(ctx context.Context, b bus, p Process) (string, properties, error) {
	before, err := p.Cgroup()
	if err != nil {
		return "", nil, err
	}
	name, err := askUnit(ctx, b, p)
	if err != nil {
		return "", nil, err
	}
	found, err := b.properties(ctx, name)
	if err != nil {
		return "", nil, fmt.Errorf("properties of %s: %w", name, err)
	}
	after, err := p.Cgroup()
	if err != nil {
		return "", nil, err
	}
	exited, err := p.Exited()
	group := found.text("ControlGroup")
	switch {
	case err != nil:
		return "", nil, err
	case exited:
		return "", nil, closewait.ErrGone
	case before != after:
		return "", nil, fmt.Errorf("it has moved from control group %q to %q", before, after)
	case !within(after, group):
		return "", nil, fmt.Errorf("its control group %q is not below %q, the one of %s", after, group, name)
	}
	return name, found, nil
}

func askUnit(ctx context.Context, b bus, p Process) (name string, err error) {
	err = p.WithPidfd(func(pidfd int) (err error) {
		name, err = b.unitByPIDFD(ctx, pidfd)
		return err
	})
	if errors.Is(err, errNotImplemented) {
		return b.unitByPID(ctx, p.ID().PID)
	}
	return name, err
}

// within reports whether a control group is another one or below it. The root group is of no unit
// that could be restarted.
func within(group, of string) bool {
	return of != "" && of != "/" && (group == of || strings.HasPrefix(group, of+"/"))
}

// readService makes a service of the properties of a unit. Socket units count while they listen.
func readService(ctx context.Context, b bus, name string, p properties) (s service, err error) {
	if !strings.HasSuffix(name, serviceSuffix) {
		return s, fmt.Errorf("%s is no service", name)
	}
	s = newService(p)
	for _, by := range property[[]string](p, "TriggeredBy") {
		if !strings.HasSuffix(by, ".socket") {
			continue
		}
		socket, err := b.properties(ctx, by)
		if err != nil {
			return s, fmt.Errorf("properties of %s: %w", by, err)
		}
		if socket.text("ActiveState") == "active" {
			s.sockets = append(s.sockets, by)
		}
	}
	return s, nil
}
