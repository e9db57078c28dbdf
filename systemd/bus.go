package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"closewait_exporter/closewait"
)

// bus is the part of the D-Bus interface of the service manager that this package uses. Tests have
// another one only for answers that cannot be provoked.
type bus interface {
	// unitByPIDFD returns the name of the unit of a process. It fails with errNotImplemented before
	// systemd 255.
	unitByPIDFD(ctx context.Context, pidfd int) (string, error)
	unitByPID(ctx context.Context, pid int) (string, error)
	properties(ctx context.Context, unit string) (properties, error)
	// tryRestart and start return the result of the job. They fail with errJobRuns when ctx, or the
	// connection, ends before the job, and else without having done anything.
	tryRestart(ctx context.Context, unit string) (result string, err error)
	start(ctx context.Context, unit string) (result string, err error)
	resetFailed(ctx context.Context, unit string) error
	connected() bool
	close()
}

var errNotImplemented = errors.New("not implemented by this systemd")

// systemBus is a connection to the system bus, or as root to systemd itself.
type systemBus struct {
	conn    *sd.Conn
	manager dbus.BusObject // for what package sd does not have
}

func dial(ctx context.Context) (bus, error) {
	conn, raw, err := connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to systemd: %w: it needs the system bus (package dbus), and a user that the bus knows: "+
			"with DynamicUser=yes there is none", err)
	}
	return systemBus{conn, raw.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")}, nil
}

// connect opens a connection. The deadline of ctx ends the attempt, not the connection.
func connect(ctx context.Context) (*sd.Conn, *dbus.Conn, error) {
	var raw *dbus.Conn
	type result struct {
		conn *sd.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := sd.NewConnection(func() (c *dbus.Conn, err error) {
			raw, err = dialBus()
			return raw, err
		})
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, raw, r.err
	case <-ctx.Done():
		go func() { // it hangs, and ends when the bus answers
			if r := <-done; r.err == nil {
				r.conn.Close()
			}
		}()
		return nil, nil, ctx.Err()
	}
}

// dialBus connects to the system bus. Root can do without one.
func dialBus() (*dbus.Conn, error) {
	auth := dbus.WithAuth(dbus.AuthExternal(strconv.Itoa(os.Geteuid())))
	conn, err := dbus.ConnectSystemBus(auth)
	if err == nil || os.Geteuid() != 0 {
		return conn, err
	}
	direct, privateErr := dbus.Dial("unix:path=/run/systemd/private")
	if privateErr == nil {
		privateErr = direct.Auth([]dbus.Auth{dbus.AuthExternal("0")})
	}
	if privateErr != nil {
		return nil, errors.Join(err, privateErr)
	}
	return direct, nil
}

func (b systemBus) connected() bool { return b.conn.Connected() }

func (b systemBus) close() { b.conn.Close() }

func (b systemBus) unitByPIDFD(ctx context.Context, pidfd int) (name string, err error) {
	var path dbus.ObjectPath
	var invocation []byte
	err = b.manager.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.GetUnitByPIDFD", 0, dbus.UnixFD(pidfd)).Store(&path, &name, &invocation)
	// Where systemd does not know the method, neither does its policy on the bus, which refuses it.
	if e, ok := errors.AsType[dbus.Error](err); ok && (e.Name == "org.freedesktop.DBus.Error.UnknownMethod" || e.Name == accessDenied) {
		return "", errNotImplemented
	}
	return name, err
}

func (b systemBus) unitByPID(ctx context.Context, pid int) (string, error) {
	return b.conn.GetUnitNameByPID(ctx, uint32(pid))
}

func (b systemBus) properties(ctx context.Context, unit string) (properties, error) {
	return b.conn.GetAllPropertiesContext(ctx, unit)
}

const accessDenied = "org.freedesktop.DBus.Error.AccessDenied"

func (b systemBus) tryRestart(ctx context.Context, unit string) (string, error) {
	return await(ctx, func(result chan<- string) (int, error) {
		return b.conn.TryRestartUnitContext(ctx, unit, modeFail, result)
	})
}

func (b systemBus) start(ctx context.Context, unit string) (string, error) {
	return await(ctx, func(result chan<- string) (int, error) { return b.conn.StartUnitContext(ctx, unit, modeFail, result) })
}

func (b systemBus) resetFailed(ctx context.Context, unit string) error {
	return explainBus(b.conn.ResetFailedUnitContext(ctx, unit))
}

// modeFail makes a job fail that would replace another one.
const modeFail = "fail"

// await enqueues a job and returns its result, such as done, failed, canceled, timeout or
// dependency. It fails with errJobRuns if there is no result yet. A request without an answer may
// have enqueued the job all the same.
func await(ctx context.Context, enqueue func(chan<- string) (int, error)) (string, error) {
	result := make(chan string, 1)
	if _, err := enqueue(result); err != nil {
		if e, ok := errors.AsType[dbus.Error](err); !ok || e.Name == "org.freedesktop.DBus.Error.NoReply" {
			return "", errJobRuns
		}
		return "", explainBus(err)
	}
	select {
	case r := <-result:
		return r, nil
	case <-ctx.Done():
		return "", errJobRuns
	}
}

// errJobRuns says that a job was enqueued, or may have been, and has no result yet.
var errJobRuns = errors.New("the job has not ended")

// explainBus sorts the errors of a request that is not carried out.
func explainBus(err error) error {
	e, ok := errors.AsType[dbus.Error](err)
	if !ok {
		return err
	}
	switch e.Name {
	case accessDenied, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
		"org.freedesktop.PolicyKit1.Error.NotAuthorized", "org.freedesktop.DBus.Error.AuthFailed":
		return fmt.Errorf("%w by polkit: %w: name the unit in /etc/polkit-1/rules.d/60-closewait_exporter.rules", closewait.ErrRefused, err)
	case "org.freedesktop.systemd1.TransactionIsDestructive", "org.freedesktop.systemd1.TransactionJobsConflicting",
		"org.freedesktop.systemd1.JobTypeConflict":
		return fmt.Errorf("%w: %w", closewait.ErrUnitBusy, err)
	case "org.freedesktop.systemd1.UnitMasked", "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.OnlyByDependency",
		"org.freedesktop.systemd1.JobTypeNotApplicable":
		return fmt.Errorf("%w by systemd: %w", closewait.ErrRefused, err)
	}
	return err
}
