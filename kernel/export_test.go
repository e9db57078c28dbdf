package kernel

import "time"

// PretendToSeeAllProcesses makes a Scanner believe that /proc hides no process, or that it does. The
// tests run in a pid namespace, where it hides those of the host, and none of them matters there.
func PretendToSeeAllProcesses(s *Scanner, all bool) { s.host.SeesAllProcesses = all }

// TakeNoHolderForGranted makes the next scan look for all holders anew, as after Options.Relook, and for
// sockets in flight.
func TakeNoHolderForGranted(s *Scanner) {
	s.owners.looked = time.Time{}
	s.passes.at, s.passes.dumped = time.Time{}, time.Time{}
}
