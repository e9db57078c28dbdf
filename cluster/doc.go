// Package cluster asks the API server of Kubernetes: it holds Leases, and evicts pods. It opens no
// connection before it is asked to.
package cluster
