package scan

import (
	"testing"

	"closewait_exporter/closewait"
)

func TestTheOpenerHasOneAcknowledgedByteMoreThanItHasSent(t *testing.T) {
	const unknown, outbound, inbound = closewait.UnknownDirection, closewait.Outbound, closewait.Inbound
	for name, c := range map[string]struct {
		queued                     uint32
		acked, sent, retransmitted uint64
		want                       closewait.Direction
	}{
		"accepted, nothing sent":           {0, 0, 0, 0, inbound},
		"opened, nothing sent":             {0, 1, 0, 0, outbound},
		"accepted, with data":              {0, 700, 700, 0, inbound},
		"opened, with data":                {0, 701, 700, 0, outbound},
		"accepted, with retransmits":       {0, 700, 900, 200, inbound},
		"opened, with retransmits":         {0, 701, 900, 200, outbound},
		"something is queued":              {1, 700, 701, 0, unknown},
		"something is queued, and it fits": {1, 700, 700, 0, unknown},
		"an acknowledged FIN counts too":   {0, 702, 700, 0, unknown},
		"less acknowledged than sent":      {0, 699, 700, 0, unknown},
		"more retransmitted than sent":     {0, 0, 1, 3, unknown},
	} {
		if got := openerOf(closewait.CloseWait, c.queued, c.acked, c.sent, c.retransmitted); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if got := openerOf(closewait.FinWait2, c.queued, c.acked+1, c.sent, c.retransmitted); got != c.want {
			t.Errorf("%s, and the own FIN: %v, want %v", name, got, c.want)
		}
	}
}
