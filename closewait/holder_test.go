package closewait

import "testing"

func TestAHolderOfPairsForwardsHalfCloses(t *testing.T) {
	tests := []struct {
		name                            string
		closeWait, closed, finWait2, un int
		want                            bool
	}{
		{"no sockets", 0, 0, 0, 0, false},
		{"pairs", 7, 0, 7, 0, true},
		{"one pair", 1, 0, 1, 0, true},
		{"pairs of which some have lost a side", 7, 0, 4, 0, true},
		{"a leak beside one pair", 100, 0, 1, 0, false},
		{"a leak alone", 7, 0, 0, 0, false},
		{"half-closed alone", 0, 0, 7, 0, false},
		{"many more half-closed", 3, 0, 7, 0, true},
		{"pairs whose ended half was closed", 0, 7, 7, 0, true},
		{"a leak whose sockets were closed, beside pairs", 4, 20, 4, 0, false},
		{"unconnected sockets are no twins", 7, 0, 0, 7, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var h Holder
			h.Ended = Holding{Sockets: make([]*Socket, test.closeWait+test.closed), States: [states]int{CloseWait: test.closeWait, Closed: test.closed}}
			h.Other.States = [states]int{FinWait2: test.finWait2, Unconnected: test.un}
			if got := h.ForwardsHalfCloses(); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
