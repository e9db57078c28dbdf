package closewait

// Unit is a service of the host's service manager as it is at one time.
type Unit struct {
	Name       string
	Names      []string // with its aliases
	Invocation string   // identifies this start of it
	Restarts   uint32   // automatic restarts so far
	Dependents []string // units that a restart takes along, also through others
}

// UnitRestart is the result of restarting a unit.
type UnitRestart struct {
	Detail string
	Begun  bool // the service manager was told to restart it, whatever came after
	Down   bool // it was stopped, and did not come up
}
