// Package policy decides what to do about the processes of a View. Policy.Decide is a pure function
// from a View and a State to Decisions and the next State: it reads no clock, file or process.
package policy
