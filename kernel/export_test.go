package kernel

// PretendToSeeAllProcesses makes a Scanner believe that /proc hides no process, or that it does. The
// tests run in a pid namespace, where it hides those of the host, and none of them matters there.
func PretendToSeeAllProcesses(s *Scanner, all bool) { s.seesAllProcesses = all }
