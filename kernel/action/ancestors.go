package action

import (
	"fmt"
	"os"
	"strconv"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// Ancestors returns this process, its parent, and so on up to the first process of the pid
// namespace that the proc file system shows.
func (e *Executor) Ancestors() ([]closewait.ProcessID, error) {
	list, err := e.ancestorsOf(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("find own ancestors: %w", err)
	}
	return list, nil
}

// ancestorsOf returns a process and its ancestors.
func (e *Executor) ancestorsOf(pid int) ([]closewait.ProcessID, error) {
	var list []closewait.ProcessID
	for next := pid; next > 0; { // the first process has parent 0
		data, err := e.host.Proc.Read(strconv.Itoa(next)+"/stat", nil)
		if host.Vanished(err) && next != pid {
			return e.ancestorsOf(pid) // it has ended meanwhile, and its child has another parent now
		}
		if err != nil {
			return nil, err
		}
		st, err := host.ParseStat(data)
		if err != nil {
			return nil, fmt.Errorf("stat of process %d: %w", next, err)
		}
		list = append(list, closewait.ProcessID{PID: next, Start: st.Start})
		next = st.Parent
	}
	return list, nil
}
