package closewait

// Resource is something of which a process can use up all, such as the places in an accept queue.
type Resource interface {
	Ratio() (ratio float64, known bool) // the share in use
}

// Fuller returns the one of two resources with the larger share in use. One whose share is not
// known counts as empty.
func Fuller[R Resource](a, b R) R {
	ofA, knownA := a.Ratio()
	ofB, knownB := b.Ratio()
	if knownB && (!knownA || ofB > ofA) {
		return b
	}
	return a
}
