package diagnose

import (
	"slices"
	"testing"
)

func TestUnreadLinesAreCountedByWhose(t *testing.T) {
	line := func(n int, text string, state SocketState, place Place) func(*Facts) {
		return func(f *Facts) {
			for range n {
				f.Sockets = append(f.Sockets, Socket{State: state, FirstLine: text, Peer: Peer{Place: place}})
			}
		}
	}
	f := facts(line(2, "GET /static", Established, OwnProcess), line(3, "GET /search", Ending, Elsewhere), line(2, "GET /search", Ending, OwnProcess),
		line(1, "QUIT", Established, OtherProcess), line(4, "", Ending, Elsewhere))
	want := []UnreadLine{{5, UnreadOnEnded, "GET /search"}, {2, UnreadOfItself, "GET /static"}, {1, UnreadOnOpen, "QUIT"}}
	if got := UnreadLines(f); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTheEndOfTheStreamIsNoUnreadData(t *testing.T) {
	for _, c := range []struct {
		socket Socket
		want   bool
	}{
		{Socket{State: Ending, RecvQueue: 1}, false}, {Socket{State: Ending, RecvQueue: 2}, true},
		{Socket{State: Established, RecvQueue: 1}, true}, {Socket{State: Established}, false},
		{Socket{State: Listening, RecvQueue: 5}, false},
	} {
		if got := c.socket.HasUnreadData(); got != c.want {
			t.Errorf("%+v: %v", c.socket, got)
		}
	}
}
