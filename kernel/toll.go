package kernel

// Toll is what became of the sockets that a step was for.
type Toll struct {
	Done   int // acted upon
	Gone   int // closed, or otherwise not what they were, and left alone
	Failed int // could not be acted upon

	failure error // the first one
}

// count takes in the outcome of one socket; gone says that the error means no failure.
func (t *Toll) count(err error, gone bool) {
	switch {
	case err == nil:
		t.Done++
	case gone:
		t.Gone++
	default:
		t.Failed++
		if t.failure == nil {
			t.failure = err
		}
	}
}
