// Package check turns a Report into the result of a plugin for Nagios, Icinga and other monitoring
// systems that follow the guidelines of the Monitoring Plugins project: a state, a line of text,
// performance data and details.
package check
