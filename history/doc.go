// Package history remembers what Views said about processes and groups over the last hours: how
// many ended connections and open descriptors there were. From that it knows how fast a leak grows,
// how long the descriptors will last, and how often a group has leaked again after a restart. Its
// memory is bounded, and it has no clock: its time is View.Taken.
package history
