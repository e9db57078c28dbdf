package reaper

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
)

// savedVersion changes when an older exporter could misread the file.
const savedVersion = 1

// envelope is the file. The checksum tells a file that was written from one that was damaged.
type envelope struct {
	Checksum uint32          `json:"checksum"` // CRC-32C of State
	State    json.RawMessage `json:"state"`
}

// savedLeash is what was done as it stands in the file: durations before and after it was saved.
type savedLeash struct {
	Version   int             `json:"version"`
	BootID    string          `json:"boot_id"`
	Uptime    time.Duration   `json:"uptime_ns"`
	SpentAgo  []time.Duration `json:"spent_ago_ns"`
	FrozenFor time.Duration   `json:"frozen_for_ns"`
	Cooldowns []savedCooldown `json:"cooldowns"`
}

type savedCooldown struct {
	Rule     string        `json:"rule"`
	Group    string        `json:"group"`
	Left     time.Duration `json:"left_ns"` // negative where it is over and a relapse would still count
	Length   time.Duration `json:"length_ns"`
	Relapses int           `json:"relapses"`
	Idle     bool          `json:"idle"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode makes the file of a leash at the time now.
func (l *leash) encode(now time.Time, boot closewait.Boot) ([]byte, error) {
	saved := savedLeash{Version: savedVersion, BootID: boot.ID, Uptime: boot.Uptime, FrozenFor: max(l.frozen.Sub(now), 0)}
	for _, at := range l.spent {
		saved.SpentAgo = append(saved.SpentAgo, now.Sub(at))
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.cooldowns), cooldownKey.compare) {
		c := l.cooldowns[key]
		saved.Cooldowns = append(saved.Cooldowns, savedCooldown{key.rule, key.group, c.until.Sub(now), c.length, c.relapses, c.idle})
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

// decode reads the file at the time now.
func decode(data []byte, now time.Time, boot closewait.Boot) (leash, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return leash{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if sum := crc32.Checksum(e.State, castagnoli); sum != e.Checksum {
		return leash{}, fmt.Errorf("%w: its checksum is %d, not %d", errDamaged, sum, e.Checksum)
	}
	var saved savedLeash
	if err := json.Unmarshal(e.State, &saved); err != nil {
		return leash{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if saved.Version != savedVersion {
		return leash{}, fmt.Errorf("the file is of version %d, this program knows %d", saved.Version, savedVersion)
	}
	return saved.at(now.Add(-saved.elapsed(boot))), nil
}

// elapsed is how long ago the file was written, or less. Of the time between two runs of the host
// nothing is known for sure.
func (s *savedLeash) elapsed(boot closewait.Boot) time.Duration {
	if s.BootID == boot.ID {
		return max(boot.Uptime-s.Uptime, 0)
	}
	return boot.Uptime
}

// at is the leash that was saved at a time.
func (s *savedLeash) at(saved time.Time) leash {
	l := leash{frozen: saved.Add(s.FrozenFor), cooldowns: make(map[cooldownKey]cooldown, len(s.Cooldowns))}
	for _, ago := range s.SpentAgo {
		l.spent = append(l.spent, saved.Add(-ago))
	}
	for _, c := range s.Cooldowns {
		l.cooldowns[cooldownKey{c.Rule, c.Group}] = cooldown{saved.Add(c.Left), c.Length, c.Relapses, c.Idle}
	}
	return l
}
