package policy

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/condition"
	"closewait_exporter/reaper/rules"
)

// crowd returns processes with ten old sockets each, one in ten of each program.
func crowd(n int) []*closewait.Holder {
	holders := make([]*closewait.Holder, n)
	for i := range holders {
		id := closewait.ProcessID{PID: 1000 + i, Start: uint64(i)}
		holders[i] = holder(id, sockets(10, uint64(i*10+1), -time.Hour), func(p *closewait.Process) {
			p.Comm, p.Exe = fmt.Sprint("server", i), fmt.Sprintf("/usr/bin/server%d", i%10)
		})
	}
	return holders
}

func BenchmarkDecide(b *testing.B) {
	holders := crowd(10_000)
	for name, expression := range map[string]string{"each rule matches a tenth": `^(?:/usr/bin/server%d)$`, "every rule matches all": `^(?:/usr/bin/server.|%d)$`} {
		b.Run(name, func(b *testing.B) {
			var list []rules.Rule
			for i := range 10 {
				list = append(list, rule(func(r *rules.Rule) {
					r.Name, r.Match.Exe = fmt.Sprint("rule", i), regexp.MustCompile(fmt.Sprintf(expression, i))
					r.When.FDs = condition.Threshold{Ratio: 0.8}
				}))
			}
			p := policy(list...)
			var s State
			at := time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				at += time.Minute
				_, s = p.Decide(view(at, holders...), s)
			}
		})
	}
}
