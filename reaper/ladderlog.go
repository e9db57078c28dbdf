package reaper

import (
	"cmp"
	"context"
	"errors"
	"time"

	"closewait_exporter/closewait"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// emphasis is the level of the log lines about what is done, by Mode.
var emphasis = [...]func(log.Logger) log.Logger{DryRun: level.Info, Enforce: level.Warn}

// settlePatience bounds the look at what came free, which is taken even when the reaper ends.
const settlePatience = 5 * time.Second

// announce records a decision to act before anything is done.
func (l *ladder) announce() error {
	if err := l.journal.Write(l.record(time.Now(), exhibitsKept)); err != nil {
		return err
	}
	p := l.Process
	l.log("msg", "ladder begins", "comm", p.Comm, "exe", p.Exe, "user", p.User, "victims", l.cost(), "sockets", len(l.Evidence),
		"oldest", l.Taken.Sub(l.Evidence[0].Since), "reason", l.Reason())
	return nil
}

// herald records a step before it is taken. Without a record it is not.
func (l *ladder) herald(deed Deed) *stop {
	r := newRecord(l.Decision, "step", time.Now())
	r.Deed = &deed
	if err := l.journal.Write(r); err != nil {
		return &stop{Aborted, LabelAuditFailed, err.Error()}
	}
	return nil
}

// report tells what came of a step.
func (l *ladder) report(step *Step, receipt Receipt, err error) {
	l.metrics.action(l.Rule, step.Kind, err)
	if err != nil {
		receipt.Error = err.Error()
	}
	l.deeds = append(l.deeds, receipt)
	l.diary.deed(l.Decision, receipt.Target, receipt.Step, cmp.Or(receipt.Error, receipt.Detail))
	l.log("msg", "step", "step", receipt.Step, "target", receipt.Target, "detail", receipt.Detail, "err", err, "took_seconds", receipt.Took)
}

// conclude records how the ladder ended. Nothing depends on the record any more.
func (l *ladder) conclude(o *outcome) {
	l.metrics.ended(l.Rule, o)
	l.diary.deed(l.Decision, l.Process.ID.PID, string(o.Result), o.reason)
	r := newRecord(l.Decision, "end", time.Now())
	r.Reason = o.reason
	r.Account = &Account{Result: o.Result, ReleasedSockets: o.sockets, ReleasedFDs: o.fds, Deeds: l.deeds}
	err := l.journal.Write(r)
	l.log("msg", "ladder ended", "result", o.Result, "decision", o.label, "released_sockets", o.sockets, "released_fds", o.fds, "reason", o.reason, "audit_err", err)
}

func (l *ladder) log(keyvals ...any) {
	about := []any{"id", l.ID(), "mode", l.Rule.Mode, "rule", l.Rule.Name, "group", l.Group, "pid", l.Process.ID.PID}
	emphasis[l.Rule.Mode](l.logger).Log(append(about, keyvals...)...)
}

// released counts what came free: the sockets that nobody holds any more, and the descriptors of
// the victims, all of those that have ended. Where it cannot be found out nothing is claimed.
func (l *ladder) released() (sockets int, fds uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), settlePatience)
	defer cancel()
	holders, err := l.hands.Holders(ctx, l.Evidence)
	if err != nil {
		l.log("msg", "cannot tell what came free", "err", err)
		return 0, 0
	}
	for _, s := range l.Evidence {
		if len(holders.Of[s.ID]) == 0 {
			sockets++
		}
	}
	for i := range l.victims {
		fds += l.victims[i].released()
	}
	return sockets, fds
}

func (v *victim) released() uint64 {
	now, err := v.Describe()
	switch {
	case errors.Is(err, closewait.ErrGone):
		return v.process.OpenFDs
	case err != nil || !now.FDsKnown:
		return 0
	}
	return v.process.OpenFDs - min(now.OpenFDs, v.process.OpenFDs)
}
