package condition

import "closewait_exporter/reaper/document"

// includeDefunct makes defunct sockets count as sockets in CLOSE_WAIT do.
var includeDefunct = Condition{
	Key: "include_defunct",
	Read: func(s *document.Section, w *When) {
		w.IncludeDefunct = document.Value(s, "include_defunct", false, document.ParseBool)
	},
	Describe: func(w *When) string {
		if !w.IncludeDefunct {
			return ""
		}
		return "true"
	},
	// When a network fails, the idle connections of a healthy pool become defunct together.
	Warn: func(s *document.Section, c Context) {
		if c.When.IncludeDefunct && c.Ends && !s.Has("fds") {
			s.Warn("include_defunct", "a network failure makes all idle connections of a healthy pool defunct at once: add fds, or set sockets above the size of the pool")
		}
	},
}
