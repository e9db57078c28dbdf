package condition

import "fmt"

// cooldown requires that the last remediation of the group by the rule ended long enough ago.
var cooldown = Condition{
	Name:         "cooldown",
	DecisionOnly: true,
	Label:        "cooldown",
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
			return fmt.Sprintf("%s left, %d %s", short(f.Cooldown), f.Relapses, relapses)
		}
		return fmt.Sprintf("none active, %d %s", f.Relapses, relapses)
	},
	Numbers: true,
}
