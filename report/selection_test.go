package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pids are the processes of the rows, from the top.
func pids(r *Report) string {
	var list []string
	for _, row := range r.Rows() {
		list = append(list, row.PID)
	}
	return strings.Join(list, " ")
}

func TestTheSelectionChoosesRows(t *testing.T) {
	tests := []struct {
		name      string
		selection Selection
		want      string
		leaking   int
		lines     []string
	}{
		{"all", Selection{}, "4211 500 600 12 77 318224", 5, nil},
		{"a process", Selection{PIDs: []int{12}}, "12", 1, []string{"Not selected: 5 processes."}},
		{"processes", Selection{PIDs: []int{77, 12}}, "12 77", 2, []string{"Not selected: 4 processes."}},
		{"a process that does not leak", Selection{PIDs: []int{600}}, "600", 0, []string{"Not selected: 5 processes."}},
		{"a process that is not there", Selection{PIDs: []int{1}}, "", 0, []string{"Not selected: 6 processes."}},
		{"a group", Selection{Groups: []string{"tomcat9.service"}}, "4211", 1, []string{"Not selected: 5 processes."}},
		{"a group of a pod", Selection{Groups: []string{"pod:6ad2a9f1-0000-4000-8000-000000000001", "x"}}, "318224", 1, []string{"Not selected: 5 processes."}},
		{"a user", Selection{Users: []string{"tomcat", "nobody"}}, "4211", 1, []string{"Not selected: 5 processes."}},
		{"a user by number", Selection{Users: []string{"991"}}, "4211", 1, []string{"Not selected: 5 processes."}},
		{"a port", Selection{Ports: []uint16{5432}}, "4211 318224", 2, []string{"Not selected: 4 processes."}},
		{"a port of an accept queue", Selection{Ports: []uint16{9000}}, "77", 1, []string{"Not selected: 5 processes."}},
		{"all filters together", Selection{Ports: []uint16{5432}, PIDs: []int{4211, 12}}, "4211", 1, []string{"Not selected: 5 processes."}},
		{"the first two", Selection{Top: 2}, "4211 500", 5, []string{"Not shown: 4 more, after the first 2."}},
		{"the first of those with a port", Selection{Top: 1, Ports: []uint16{5432}}, "4211", 2,
			[]string{"Not selected: 4 processes.", "Not shown: 1 more, after the first 1."}},
		{"more than there are", Selection{Top: 100}, "4211 500 600 12 77 318224", 5, nil},
		{"in another order", Selection{Top: 3, Order: OrderBy("pid")}, "12 77 500", 5, []string{"Not shown: 3 more, after the first 3."}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := leaking().report(time.Second)
			r.Selection = test.selection
			if got := pids(r); got != test.want {
				t.Errorf("rows of %s, want %s", got, test.want)
			}
			if got := r.Leaking(); got != test.leaking {
				t.Errorf("%d leak, want %d", got, test.leaking)
			}
			var lines []string
			for line := range strings.Lines(processes(t, r)) {
				if strings.HasPrefix(line, "Not s") {
					lines = append(lines, strings.TrimSpace(line))
				}
			}
			if diff := cmp.Diff(test.lines, lines); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestASelectionOfProcessesIsASelectionOfSockets(t *testing.T) {
	r := leaking().report(time.Second)
	r.Selection.PIDs = []int{12}
	var got []string
	for _, s := range r.sockets() {
		got = append(got, fmt.Sprint(s.Holders[0].PID))
	}
	if diff := cmp.Diff([]string{"12", "12"}, got); diff != "" {
		t.Errorf("holders of the sockets: -want +got:\n%s", diff)
	}
}

func TestRowsAreSortedByEachKey(t *testing.T) {
	want := map[string]string{
		"group": "77 600 500 318224 12 4211", "pid": "12 77 500 600 4211 318224", "sockets": "4211 500 318224 12 600 77",
		"rate": "4211 500 600 12 77 318224", "closed": "4211 12 500 600 77 318224", "unaccepted": "77 4211 500 600 12 318224",
		"other": "600 500 4211 12 77 318224", "oldest": "4211 12 500 77 318224 600", "unread": "4211 77 12 500 600 318224",
		"fds": "4211 500 600 12 77 318224", "left": "4211 500 600 12 77 318224", "service": "12 600 4211 77 500 318224",
		"remote": "600 318224 500 12 4211 77",
	}
	for _, o := range Orders {
		t.Run(o.Key, func(t *testing.T) {
			r := leaking().report(time.Second)
			r.Selection.Order = &o
			if got := pids(r); got != want[o.Key] {
				t.Errorf("%s, want %s", got, want[o.Key])
			}
			r.Selection.Order = nil
			if got := o.First(r.Rows()).PID; got != strings.Fields(want[o.Key])[0] {
				t.Errorf("the first is %s", got)
			}
		})
	}
	if OrderBy("nonsense") != nil {
		t.Error("there is an order by nonsense")
	}
}
