package action

import "closewait_exporter/closewait"

// socketCounts collects the results of an action on sockets.
type socketCounts struct {
	closewait.SocketCounts
	failure error // the first failure
}

// skipClosed counts the sockets without a connection and returns the others.
func (c *socketCounts) skipClosed(sockets []*closewait.Socket) []*closewait.Socket {
	listed, closed := splitListed(sockets)
	c.Closed += len(closed)
	return listed
}

// count adds the result of one socket. If gone is true, err means that the socket had changed or
// was closed, which is no failure.
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
