package action

import "closewait_exporter/closewait"

// socketCounts are the SocketCounts of an action while it is carried out.
type socketCounts struct {
	closewait.SocketCounts
	failure error // the first one
}

// skipDefunct counts the defunct sockets and returns the others.
func (c *socketCounts) skipDefunct(sockets []*closewait.Socket) []*closewait.Socket {
	waiting, defunct := splitDefunct(sockets)
	c.Defunct += len(defunct)
	return waiting
}

// count adds the result of one socket; gone reports that the error means no failure.
func (c *socketCounts) count(err error, gone bool) {
	switch {
	case err == nil:
		c.Done++
	case gone:
		c.Gone++
	default:
		c.Failed++
		if c.failure == nil {
			c.failure = err
		}
	}
}
