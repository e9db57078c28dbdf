package systemd

import "slices"

// properties are the properties of a unit, of the interface of its type too:
// org.freedesktop.systemd1(5). A property that is missing, or of another type, has the zero value.
type properties map[string]any

func property[T any](p properties, name string) T {
	value, _ := p[name].(T)
	return value
}

func (p properties) text(name string) string { return property[string](p, name) }

// statuses decodes a property of the type (aiai): exit statuses and signals.
func (p properties) statuses(name string) (set statusSet) {
	pair := property[[]any](p, name)
	if len(pair) != 2 {
		return set
	}
	set.statuses, _ = pair[0].([]int32)
	set.signals, _ = pair[1].([]int32)
	return set
}

// newService returns a service without its sockets.
func newService(p properties) service {
	const running, reloading = "active", "reloading"
	state := p.text("ActiveState")
	return service{
		name:            p.text("Id"),
		mainPID:         property[uint32](p, "MainPID"),
		active:          slices.Contains([]string{running, reloading}, state),
		state:           state,
		kind:            p.text("Type"),
		exitType:        p.text("ExitType"),
		restart:         p.text("Restart"),
		remainAfterExit: property[bool](p, "RemainAfterExit"),
		success:         p.statuses("SuccessExitStatus"),
		prevent:         p.statuses("RestartPreventExitStatus"),
		force:           p.statuses("RestartForceExitStatus"),
	}
}
