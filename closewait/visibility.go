package closewait

// Visibility describes what a scanner can read on this host, what it cannot, and why.
type Visibility struct {
	Scanner    string // name of the scanner in use
	Fallback   string // why a better scanner does not work; empty if the best scanner is in use
	Namespaces string // requested network namespaces: all or own
	Missing    []MissingCapability
	Root       bool // the exporter runs as root, so that sudo would not help
}

// MissingCapability is a privilege that the exporter lacks, and what stays hidden without it.
type MissingCapability struct {
	Capability, Lost string

	HidesSockets bool // sockets or their holders stay hidden, and not only details about them
}

// String is the text for people.
func (m MissingCapability) String() string {
	return "not visible without " + m.Capability + ": " + m.Lost
}
