package kernel

import "closewait_exporter/closewait"

// Toll is what became of the sockets that a step was for.
type Toll struct {
	Done    int // acted upon
	Gone    int // closed, or otherwise not what they were, and left alone
	Defunct int // have no connection that could be acted upon, and were left alone
	Failed  int // could not be acted upon

	failure error // the first one
}

// skipDefunct counts the sockets that are defunct, and returns the others.
func (t *Toll) skipDefunct(sockets []*closewait.Socket) []*closewait.Socket {
	waiting, defunct := splitDefunct(sockets)
	t.Defunct += len(defunct)
	return waiting
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
