package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/internal/checksum"
	"closewait_exporter/reaper/rules"
)

// savedVersion changes when another exporter could misread the file.
const savedVersion = 3

// savedKeyword is the key of the content in the file.
const savedKeyword = "state"

// savedState is the content of the file: durations before and after it was saved. Actions and
// cooldowns that a remediation had reserved are not marked: if the program did not live to give
// them back, they are spent.
type savedState struct {
	Version     int             `json:"version"`
	BootID      string          `json:"boot_id"`
	Uptime      time.Duration   `json:"uptime_ns"`
	ActionsAgo  []time.Duration `json:"actions_ago_ns"` // oldest first
	NoBudgetFor time.Duration   `json:"no_budget_for_ns"`
	Cooldowns   []savedCooldown `json:"cooldowns"`
	Due         []savedDue      `json:"due"`
	Suspended   []savedBreaker  `json:"suspended"`
}

type savedCooldown struct {
	Rule     string        `json:"rule"`
	Group    string        `json:"group"`
	Left     time.Duration `json:"left_ns"` // negative if it is over and a relapse would still count
	Length   time.Duration `json:"length_ns"`
	Relapses int           `json:"relapses"`
	SinceAgo time.Duration `json:"since_ago_ns"`
	Targets  []savedTarget `json:"targets"`
}

// savedTarget is a closewait.ProcessID. In another boot it belongs to no process.
type savedTarget struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

type savedDue struct {
	Rule  string        `json:"rule"`
	Group string        `json:"group"`
	Ago   time.Duration `json:"ago_ns"`
}

type savedBreaker struct {
	Rule string        `json:"rule"`
	Left time.Duration `json:"left_ns"`
}

// Encode returns the file with the past actions of the rules that act, at the time now.
func (s *State) Encode(now time.Time, boot closewait.Boot) ([]byte, error) {
	return s.limiters[rules.Enforce].encode(now, boot)
}

func (l *limiter) encode(now time.Time, boot closewait.Boot) ([]byte, error) {
	saved := savedState{Version: savedVersion, BootID: boot.ID, Uptime: boot.Uptime, NoBudgetFor: max(l.frozenUntil.Sub(now), 0)}
	for _, at := range l.actions {
		saved.ActionsAgo = append(saved.ActionsAgo, max(now.Sub(at), 0))
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.cooldowns), ruleGroup.compare) {
		c := l.cooldowns[key]
		of := savedCooldown{key.rule, key.group, min(c.until.Sub(now), c.length), c.length, c.relapses, max(now.Sub(c.since), 0), nil}
		for _, id := range c.targets {
			of.Targets = append(of.Targets, savedTarget(id))
		}
		saved.Cooldowns = append(saved.Cooldowns, of)
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.due), ruleGroup.compare) {
		saved.Due = append(saved.Due, savedDue{key.rule, key.group, max(now.Sub(l.due[key]), 0)})
	}
	for _, rule := range slices.Sorted(maps.Keys(l.suspended)) {
		saved.Suspended = append(saved.Suspended, savedBreaker{rule, l.suspended[rule].Sub(now)})
	}
	return checksum.Encode(savedKeyword, saved)
}

func (k ruleGroup) compare(other ruleGroup) int {
	return cmp.Or(cmp.Compare(k.rule, other.rule), cmp.Compare(k.group, other.group))
}

// Decode is the State with the past actions of a file, read at the time now.
func (s State) Decode(data []byte, now time.Time, boot closewait.Boot) (State, error) {
	l, err := decode(data, now, boot)
	if err != nil {
		return s, err
	}
	s.limiters[rules.Enforce] = l
	return s, nil
}

func decode(data []byte, now time.Time, boot closewait.Boot) (limiter, error) {
	var saved savedState
	if err := checksum.Decode(savedKeyword, data, &saved); err != nil {
		return limiter{}, err
	}
	if saved.Version != savedVersion {
		return limiter{}, fmt.Errorf("the file is of version %d, this program reads version %d", saved.Version, savedVersion)
	}
	if err := saved.validate(); err != nil {
		return limiter{}, fmt.Errorf("%w: %w", checksum.ErrDamaged, err)
	}
	return saved.at(now.Add(-saved.elapsed(boot))), nil
}

// elapsed is a lower bound of the time since the file was written. How long the host was off
// between two boots is unknown.
func (s *savedState) elapsed(boot closewait.Boot) time.Duration {
	if s.BootID == boot.ID {
		return max(boot.Uptime-s.Uptime, 0)
	}
	return boot.Uptime
}

// at returns the limiter that was saved at a time.
func (s *savedState) at(saved time.Time) limiter {
	l := limiter{
		frozenUntil: saved.Add(s.NoBudgetFor), cooldowns: make(map[ruleGroup]cooldown, len(s.Cooldowns)),
		due: make(map[ruleGroup]time.Time, len(s.Due)), suspended: make(map[string]time.Time, len(s.Suspended)),
	}
	for _, ago := range s.ActionsAgo {
		l.actions = append(l.actions, saved.Add(-ago))
	}
	for _, of := range s.Cooldowns {
		c := cooldown{until: saved.Add(of.Left), length: of.Length, relapses: of.Relapses, since: saved.Add(-of.SinceAgo)}
		for _, t := range of.Targets {
			c.targets = append(c.targets, closewait.ProcessID(t))
		}
		l.cooldowns[ruleGroup{of.Rule, of.Group}] = c
	}
	for _, d := range s.Due {
		l.due[ruleGroup{d.Rule, d.Group}] = saved.Add(-d.Ago)
	}
	for _, b := range s.Suspended {
		l.suspended[b.Rule] = saved.Add(b.Left)
	}
	return l
}
