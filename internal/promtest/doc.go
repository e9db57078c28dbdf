// Package promtest lets tests run Prometheus, Alertmanager and other servers that say where they
// listen, and ask them. Only tests may import it.
package promtest
