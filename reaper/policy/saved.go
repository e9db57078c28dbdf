package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// savedVersion changes when another exporter could misread the file.
const savedVersion = 2

// envelope is the file. The checksum detects a damaged file.
type envelope struct {
	Checksum uint32          `json:"checksum"` // CRC-32C of State
	State    json.RawMessage `json:"state"`
}

// savedState is the content of the file: durations before and after it was saved.
type savedState struct {
	Version     int             `json:"version"`
	BootID      string          `json:"boot_id"`
	Uptime      time.Duration   `json:"uptime_ns"`
	ActionsAgo  []time.Duration `json:"actions_ago_ns"`
	NoBudgetFor time.Duration   `json:"no_budget_for_ns"`
	Cooldowns   []savedCooldown `json:"cooldowns"`
}

type savedCooldown struct {
	Rule     string        `json:"rule"`
	Group    string        `json:"group"`
	Left     time.Duration `json:"left_ns"` // negative if it is over and a relapse would still count
	Length   time.Duration `json:"length_ns"`
	Relapses int           `json:"relapses"`
	NoAction bool          `json:"no_action"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the file with the past actions of the rules that act, at the time now.
func (s *State) Encode(now time.Time, boot closewait.Boot) ([]byte, error) {
	return s.limiters[rules.Enforce].encode(now, boot)
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

func (l *limiter) encode(now time.Time, boot closewait.Boot) ([]byte, error) {
	saved := savedState{Version: savedVersion, BootID: boot.ID, Uptime: boot.Uptime, NoBudgetFor: max(l.frozenUntil.Sub(now), 0)}
	for _, at := range l.actions {
		saved.ActionsAgo = append(saved.ActionsAgo, now.Sub(at))
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.cooldowns), cooldownKey.compare) {
		c := l.cooldowns[key]
		saved.Cooldowns = append(saved.Cooldowns, savedCooldown{key.rule, key.group, c.until.Sub(now), c.length, c.relapses, c.noAction})
	}
	state, err := json.Marshal(saved)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{crc32.Checksum(state, castagnoli), state})
}

func (k cooldownKey) compare(other cooldownKey) int {
	if c := strings.Compare(k.rule, other.rule); c != 0 {
		return c
	}
	return strings.Compare(k.group, other.group)
}

var errDamaged = errors.New("the file is damaged")

func decode(data []byte, now time.Time, boot closewait.Boot) (limiter, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return limiter{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if sum := crc32.Checksum(e.State, castagnoli); sum != e.Checksum {
		return limiter{}, fmt.Errorf("%w: its checksum is %d, not %d", errDamaged, sum, e.Checksum)
	}
	var saved savedState
	if err := json.Unmarshal(e.State, &saved); err != nil {
		return limiter{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if saved.Version != savedVersion {
		return limiter{}, fmt.Errorf("the file is of version %d, this program reads version %d", saved.Version, savedVersion)
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
	l := limiter{frozenUntil: saved.Add(s.NoBudgetFor), cooldowns: make(map[cooldownKey]cooldown, len(s.Cooldowns))}
	for _, ago := range s.ActionsAgo {
		l.actions = append(l.actions, saved.Add(-ago))
	}
	for _, c := range s.Cooldowns {
		l.cooldowns[cooldownKey{c.Rule, c.Group}] = cooldown{saved.Add(c.Left), c.Length, c.Relapses, c.NoAction}
	}
	return l
}
