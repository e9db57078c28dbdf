package inspect

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// maxDescriptors bounds the descriptors whose kind is read, in about 0.1 s.
const maxDescriptors = 1 << 16

// ReadResources reads what a process uses and may use. It reads only files that cannot hang. What
// cannot be read is listed in Missing. It fails with closewait.ErrGone if the process has ended.
func ReadResources(ctx context.Context, h *host.Host, id closewait.ProcessID) (closewait.Resources, error) {
	var r closewait.Resources
	dir, st, data, err := h.OpenProcessStat(id, nil)
	if err == nil && host.LeaderEnded(st.State) {
		defer dir.Close()
		dir, err = host.OpenStandIn(dir, id.PID)
	}
	if err != nil {
		return r, fmt.Errorf("read process %d: %w", id.PID, host.GoneIfVanished(err))
	}
	defer dir.Close()
	missing := func(what string, err error) {
		if err != nil {
			r.Missing = append(r.Missing, missingLine(h, what, dir.UnlessEnded(".", err)))
		}
	}
	missing("the kinds of its descriptors", readKinds(ctx, dir, &r))
	data, err = dir.Read("limits", data)
	if err == nil {
		r.Limits, err = parseLimits(data)
	}
	missing("its limits", err)
	data, err = dir.Read("cgroup", data)
	missing("its control groups", err)
	r.Cgroups = readCgroups(data)
	if !h.Lives(id) {
		return r, fmt.Errorf("read process %d: %w", id.PID, closewait.ErrGone)
	}
	return r, nil
}

// readKinds counts the descriptors of a process by kind.
func readKinds(ctx context.Context, process host.Directory, r *closewait.Resources) error {
	fds, err := host.OpenDirectory(process, "fd")
	if err != nil {
		return err
	}
	defer fds.Close()
	counts, read := map[string]int{}, 0
	var refused error
	var link [64]byte
	err = fds.Each(make([]byte, host.EntriesSize), func(name []byte) {
		if read++; read > maxDescriptors || ctx.Err() != nil {
			r.DescriptorsOmitted++
			return
		}
		target, err := fds.Link(name, link[:])
		switch {
		case err == nil:
			counts[descriptorKind(target)]++
		case !host.Vanished(err):
			refused = err
		}
	})
	for kind, n := range counts {
		r.Descriptors = append(r.Descriptors, closewait.DescriptorCount{Kind: kind, Count: n})
	}
	slices.SortFunc(r.Descriptors, func(a, b closewait.DescriptorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	return cmp.Or(err, refused)
}

// descriptorKind is the kind of a descriptor without anything that the process has chosen: names of
// files can be secret.
func descriptorKind(link []byte) string {
	text := string(link)
	kind, rest, _ := strings.Cut(text, ":")
	switch {
	case strings.HasPrefix(text, "/dev/"):
		return "device"
	case strings.HasPrefix(text, "/memfd:"):
		return "memfd"
	case kind == "anon_inode":
		return cmp.Or(strings.Trim(rest, "[]/"), kind)
	case !strings.HasPrefix(text, "/") && strings.HasPrefix(rest, "["):
		return kind // socket, pipe, or a namespace such as net
	}
	return "file"
}

// parseLimits parses a /proc/PID/limits, in which columns are two spaces or more apart where their
// values leave room for that.
func parseLimits(data []byte) (limits []closewait.Limit, err error) {
	for line := range bytes.Lines(data) {
		name, rest, _ := strings.Cut(strings.TrimSpace(string(line)), "  ")
		columns := strings.Fields(rest)
		if name == "Limit" {
			continue
		}
		if len(columns) < 2 || len(columns) > 3 {
			return nil, fmt.Errorf("%w limits: line %q", host.ErrMalformed, line)
		}
		l := closewait.Limit{Name: name}
		if l.Soft, err = parseLimit(columns[0]); err == nil {
			l.Hard, err = parseLimit(columns[1])
		}
		if err != nil {
			return nil, err
		}
		if len(columns) == 3 {
			l.Unit = columns[2]
		}
		limits = append(limits, l)
	}
	if len(limits) == 0 {
		return nil, fmt.Errorf("%w limits: no lines", host.ErrMalformed)
	}
	return limits, nil
}

func parseLimit(text string) (*uint64, error) {
	if text == "unlimited" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w limits: value %q", host.ErrMalformed, text)
	}
	return &n, nil
}

// cgroupFiles are the files of both versions of cgroups that say in one line what a group uses and
// may use, by controller.
var cgroupFiles = map[string][]string{
	"memory": {"memory.current", "memory.high", "memory.max", "memory.swap.current", "memory.usage_in_bytes", "memory.limit_in_bytes"},
	"pids":   {"pids.current", "pids.max"},
	"cpu":    {"cpu.max", "cpu.weight", "cpu.cfs_quota_us", "cpu.cfs_period_us"},
}

// readCgroups reads the groups of a process, whose /proc/PID/cgroup is given.
func readCgroups(membership []byte) (groups []closewait.Cgroup) {
	seen := map[string]int{}
	for _, controller := range []string{"memory", "pids", "cpu"} {
		for _, h := range host.FindHierarchies(controller) {
			group, ok := h.GroupOf(membership)
			if !ok {
				continue
			}
			at, known := seen[h.Mount]
			if !known {
				at = len(groups)
				seen[h.Mount] = at
				groups = append(groups, closewait.Cgroup{Path: cmp.Or(group, "/"), Values: map[string]string{}})
			}
			for _, name := range cgroupFiles[controller] {
				if value, err := os.ReadFile(path.Join(h.Mount, group, name)); err == nil {
					groups[at].Values[name] = strings.TrimSpace(string(value))
				}
			}
		}
	}
	// The root of a hierarchy has no limits.
	return slices.DeleteFunc(groups, func(c closewait.Cgroup) bool { return c.Path == "/" && len(c.Values) == 0 })
}
