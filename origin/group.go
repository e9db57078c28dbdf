package origin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Group are the leaked sockets that were made at the same stack.
type Group struct {
	Born   Call
	Thread string // of the first socket
	Place  int    // index in the stack of the first call of the program's own code
	Share  float64
	Ends   []End // most sockets first

	Sockets []*Socket
}

// End is where the end of sockets of a group was read.
type End struct {
	Call  Call
	Place int
	Count int
}

// Groups returns the leaked sockets of a trace by stack, most sockets first.
func Groups(t *Trace) []Group {
	byStack := map[string]*Group{}
	var order []string
	for i := range t.Sockets {
		s := &t.Sockets[i]
		key := keyOf(&s.Born)
		if len(s.Born.Stack) == 0 {
			key += s.Thread
		}
		g := byStack[key]
		if g == nil {
			g = &Group{Born: s.Born, Thread: s.Thread, Place: place(s.Born.Stack, t.exe())}
			byStack[key] = g
			order = append(order, key)
		}
		g.Sockets = append(g.Sockets, s)
	}
	groups := make([]Group, 0, len(order))
	for _, key := range order {
		g := byStack[key]
		g.Share = float64(len(g.Sockets)) / float64(len(t.Sockets))
		g.Ends = ends(g.Sockets, t.exe())
		groups = append(groups, *g)
	}
	slices.SortStableFunc(groups, func(a, b Group) int { return cmp.Compare(len(b.Sockets), len(a.Sockets)) })
	return groups
}

func ends(sockets []*Socket, exe string) (list []End) {
	at := map[string]int{}
	for _, s := range sockets {
		key := keyOf(&s.End)
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, End{Call: s.End, Place: place(s.End.Stack, exe)})
		}
		list[i].Count++
	}
	slices.SortStableFunc(list, func(a, b End) int { return cmp.Compare(b.Count, a.Count) })
	return list
}

// keyOf identifies a call by what is shown of it.
func keyOf(c *Call) string {
	var key strings.Builder
	fmt.Fprintf(&key, "%s %t", c.How, c.Cut)
	for _, f := range c.Stack {
		fmt.Fprintf(&key, "\x00%s\x00%s\x00%d\x00%s", f.Function, f.File, f.Line, f.Module)
	}
	return key.String()
}
