package closewait

// EvidenceCase is a remediation, before whose remedy the evidence about a process is written down.
type EvidenceCase struct {
	ID      string // of the remediation; the file is named after it
	Process ProcessID
	Record  []byte // JSON: the decision as in the audit file, and the results of the steps so far
}

// Resources are what the kernel says about a process besides its threads and sockets. Strings are
// unfiltered: they can contain any byte but NUL.
type Resources struct {
	Descriptors        []DescriptorCount // by kind, most first
	DescriptorsOmitted int               // not read, because there are too many
	Limits             []Limit           // in the order of the kernel
	Cgroups            []Cgroup
	Missing            []string // what could not be read, and why, for people
}

// DescriptorCount is the number of open descriptors of a kind, such as "socket" or "eventpoll".
type DescriptorCount struct {
	Kind  string
	Count int
}

// Limit is a resource limit, as in /proc/PID/limits.
type Limit struct {
	Name       string  // such as "Max open files"
	Soft, Hard *uint64 // nil: unlimited
	Unit       string  // such as "files"; empty: none
}

// Cgroup is the control group of a process in one hierarchy.
type Cgroup struct {
	Path   string            // below the mount of the hierarchy
	Values map[string]string // content of its files that are there, by name
}
