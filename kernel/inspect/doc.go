// Package inspect reads the facts about one process from which package diagnose concludes why the
// process does not close its connections. It attaches to nothing: the process is never stopped or
// slowed. What can hang, such as the memory of the process, is read in a child process that has a
// deadline.
package inspect
