// Package symbols gives names to the addresses of a process: functions with files and lines, from
// the tables of its executable files and from the perf map of its runtime. These files belong to
// the process, which can put anything there, and reading them or its mappings can hang. So a child
// process reads them, with a deadline and a limit of memory.
package symbols
