package fdscan

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestListsOfRunsAreSorted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, list := range map[string][]InodeIndex{
		"empty":                {},
		"one":                  {3},
		"one run":              {1, 2, 2, 5},
		"three runs":           {4, 5, 9, 1, 2, 2, 0, 7},
		"falling":              {5, 4, 3, 2, 1},
		"no runs to speak of":  randomList(random, 1000),
		"runs of random sizes": append(append(ascending(random, 100), ascending(random, 7)...), ascending(random, 55)...),
	} {
		t.Run(name, func(t *testing.T) {
			want := slices.Sorted(slices.Values(list))
			got, _ := SortRuns(slices.Clone(list), nil)
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func randomList(random *rand.Rand, n int) []InodeIndex {
	list := make([]InodeIndex, n)
	for i := range list {
		list[i] = InodeIndex(random.Uint64())
	}
	return list
}

func ascending(random *rand.Rand, n int) []InodeIndex {
	return slices.Sorted(slices.Values(randomList(random, n)))
}
