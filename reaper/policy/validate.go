package policy

import (
	"fmt"
	"time"
)

// longest is the maximum of any duration in the file. No duration of a rules file is longer than a
// year, and a cooldown is doubled at most maxDoublings times.
const longest = maxDoubled << maxDoublings

// validate returns why no exporter can have written the state: the checksum protects from damage,
// not from an editor. A value out of range could allow actions that limits forbid, or none for
// centuries.
func (s *savedState) validate() error {
	if err := within("uptime_ns", s.Uptime, 0, 1<<63-1); err != nil {
		return err
	}
	if err := within("no_budget_for_ns", s.NoBudgetFor, 0, longest); err != nil {
		return err
	}
	latest := time.Duration(1<<63 - 1)
	for _, ago := range s.ActionsAgo {
		if err := within("actions_ago_ns", ago, 0, latest); err != nil {
			return fmt.Errorf("%w, oldest first", err)
		}
		latest = ago
	}
	cooldowns := map[ruleGroup]bool{}
	for i := range s.Cooldowns {
		c := &s.Cooldowns[i]
		if err := c.validate(); err != nil {
			return fmt.Errorf("cooldown of rule %q, group %q: %w", c.Rule, c.Group, err)
		}
		cooldowns[ruleGroup{c.Rule, c.Group}] = true
	}
	if len(cooldowns) < len(s.Cooldowns) {
		return fmt.Errorf("%d cooldowns for %d groups", len(s.Cooldowns), len(cooldowns))
	}
	for _, d := range s.Due {
		if err := within("ago_ns", d.Ago, 0, longest); err != nil {
			return fmt.Errorf("due of rule %q, group %q: %w", d.Rule, d.Group, err)
		}
	}
	for _, b := range s.Suspended {
		if err := within("left_ns", b.Left, -longest, longest); err != nil {
			return fmt.Errorf("suspension of rule %q: %w", b.Rule, err)
		}
	}
	return nil
}

func (c *savedCooldown) validate() error {
	if err := within("length_ns", c.Length, 0, longest); err != nil {
		return err
	}
	if err := within("left_ns", c.Left, -1<<63, c.Length); err != nil {
		return err
	}
	if err := within("since_ago_ns", c.SinceAgo, 0, 1<<63-1); err != nil {
		return err
	}
	if c.Relapses < 0 || c.Relapses > maxDoublings {
		return fmt.Errorf("relapses is %d, not between 0 and %d", c.Relapses, maxDoublings)
	}
	return nil
}

func within(key string, value, least, most time.Duration) error {
	if value < least || value > most {
		return fmt.Errorf("%s is %d, not between %d and %d", key, value, least, most)
	}
	return nil
}
