package scan

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/kerneltest"
)

func TestWhoOnlyKeepsAListenerIsNamedOnlyWhenNoOtherHasIt(t *testing.T) {
	type process struct {
		pid, parent int
		exe         string
		accepted    bool // it holds a connection that was accepted on the port
	}
	const manager, python, nginx, sh = "/usr/lib/systemd/systemd", "/usr/bin/python3", "/usr/sbin/nginx", "/bin/sh"
	for name, c := range map[string]struct {
		others  []process // without the listener
		holders []process
		want    []int
	}{
		"one":                                 {holders: []process{{10, 1, python, false}}, want: []int{10}},
		"systemd and the service":             {holders: []process{{1, 0, manager, false}, {10, 1, python, false}}, want: []int{10}},
		"the manager of a user":               {holders: []process{{5, 1, manager, false}, {10, 5, python, false}}, want: []int{10}},
		"systemd alone":                       {holders: []process{{1, 0, manager, false}}, want: []int{1}},
		"a master of forked workers":          {holders: []process{{10, 1, nginx, false}, {11, 10, nginx, false}, {12, 10, nginx, false}}, want: []int{11, 12}},
		"a master that accepts too":           {holders: []process{{10, 1, nginx, true}, {11, 10, nginx, false}}, want: []int{10, 11}},
		"another manager, a service accepts":  {holders: []process{{10, 1, sh, false}, {11, 10, python, true}}, want: []int{11}},
		"another manager, no process accepts": {holders: []process{{10, 1, sh, false}, {11, 10, python, false}}, want: []int{10, 11}},
		"a helper that has inherited it":      {holders: []process{{10, 1, python, true}, {11, 10, sh, false}}, want: []int{10}},
		"a grandchild":                        {others: []process{{11, 10, sh, false}}, holders: []process{{10, 1, nginx, false}, {12, 11, nginx, false}}, want: []int{12}},
		"no relatives":                        {holders: []process{{10, 1, nginx, false}, {11, 1, nginx, false}}, want: []int{10, 11}},
		"a program that cannot be read":       {holders: []process{{10, 1, "", false}, {11, 10, "", false}}, want: []int{10, 11}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var holders []closewait.ProcessID
			set := &socketSet{}
			for i, p := range slices.Concat(c.others, c.holders) {
				tree := map[string]string{
					fmt.Sprintf("%d/stat", p.pid): fmt.Sprintf("%d (x) S %d 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", p.pid, p.parent, p.pid),
				}
				if p.exe != "" {
					tree[fmt.Sprintf("%d/exe", p.pid)] = link + p.exe
				}
				kerneltest.Plant(t, dir, tree)
				id := closewait.ProcessID{PID: p.pid, Start: uint64(p.pid)}
				if i >= len(c.others) {
					holders = append(holders, id)
				}
				if p.accepted {
					set.add(closewait.SocketSample{Holders: []closewait.ProcessID{id}, Facts: closewait.Facts{
						ID: closewait.CookieID(1, uint64(p.pid)), Local: netip.MustParseAddrPort("127.0.0.1:80"), Inode: 7, Direction: closewait.Inbound,
					}})
				}
			}
			a := newAccepters(openHost(t, dir), set, nil)
			var got []int
			for _, id := range a.withoutKeepers(holders, port{1, 80}) {
				got = append(got, id.PID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("named %v, want %v", got, c.want)
			}
		})
	}
}
