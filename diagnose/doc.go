// Package diagnose concludes from facts about one process why it does not close its connections.
// It is pure: it does not know how the facts are read.
package diagnose
