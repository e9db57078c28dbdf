// Package fdscan reads the descriptor tables of processes to find which processes hold a socket,
// and by which descriptor.
package fdscan
