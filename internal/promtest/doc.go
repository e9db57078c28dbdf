// Package promtest lets tests run and query Prometheus, Alertmanager and other servers that log the
// address they listen on. Only tests may import it.
package promtest
