package condition

import "fmt"

// LabelCooldown is the decision while a cooldown is for the process.
const LabelCooldown Label = "cooldown"

// cooldown requires that no cooldown of the rule is for the process: the last remediation of its
// group ended long enough ago, or the process was no target and started before.
var cooldown = Condition{
	Name:         "cooldown",
	DecisionOnly: true,
	Label:        LabelCooldown,
	Blocks:       true,
	Holds: func(s Subject) bool {
		f := s.Findings()
		f.Cooldown, f.Relapses = s.Cooldown()
		return f.Cooldown == 0
	},
	Message: func(_ *When, f *Findings) string {
		relapses := "relapses"
		if f.Relapses == 1 {
			relapses = "relapse"
		}
		if f.Cooldown > 0 {
			text := fmt.Sprintf("%s left, %d %s", short(f.Cooldown), f.Relapses, relapses)
			if f.Why != "" {
				text += ": " + f.Why
			}
			return text
		}
		return fmt.Sprintf("none active, %d %s", f.Relapses, relapses)
	},
	Numbers: true,
}
