package app

import (
	"math"
	"testing"
)

func TestConnectionsGetHalfOfTheFreeDescriptors(t *testing.T) {
	tests := []struct{ descriptors, open, want int }{
		{1024, 14, 505},
		{256, 16, 120},
		{20, 12, 4},
		{12, 12, 1},
		{10, 12, 1}, // lowered after they were opened
		{math.MaxInt32, 14, 1073741816},
	}
	for _, test := range tests {
		if got := connectionsWithin(test.descriptors, test.open); got != test.want {
			t.Errorf("%d of %d descriptors are open: %d connections, want %d", test.open, test.descriptors, got, test.want)
		}
	}
}
