package fdscan

import (
	"slices"
	"testing"

	"closewait_exporter/closewait"
)

func TestSocketsWithTheSameHoldersShareOneList(t *testing.T) {
	ids := []closewait.ProcessID{{PID: 30, Start: 1}, {PID: 10, Start: 2}, {PID: 20, Start: 3}}
	var lists HolderLists
	both := lists.Of([]int32{0, 1}, ids)
	if want := []closewait.ProcessID{ids[1], ids[0]}; !slices.Equal(*both, want) {
		t.Errorf("%v, want %v: ascending by pid", *both, want)
	}
	if again := lists.Of([]int32{0, 1}, ids); again != both {
		t.Error("the same holders have another list")
	}
	if other := lists.Of([]int32{0, 2}, ids); other == both || len(*other) != 2 {
		t.Errorf("other holders: %v", *other)
	}
	if n := testing.AllocsPerRun(100, func() { lists.Of([]int32{0, 2}, ids) }); n != 0 {
		t.Errorf("%v allocations for a list that is known", n)
	}
}
