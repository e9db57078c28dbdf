package kernel

import (
	"context"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/kernel/host"
)

// namespaces finds the network namespaces to read, the own one first.
func (s *Scanner) namespaces(pids []int) []host.Namespace {
	if s.options.Namespaces == OwnNamespace {
		return []host.Namespace{s.host.OwnNetNS}
	}
	return s.host.Namespaces(pids)
}

// namespacesAmong finds which of the given namespaces some process lives in now.
func (s *Scanner) namespacesAmong(ctx context.Context, wanted []closewait.NetNS) ([]host.Namespace, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	all, err := s.findNamespaces(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(ns host.Namespace) bool { return !slices.Contains(wanted, ns.ID) }), nil
}

// findNamespaces lists the processes again and finds the network namespaces in which they live.
func (s *Scanner) findNamespaces(ctx context.Context) ([]host.Namespace, error) {
	if s.iterator != nil {
		p, err := s.passProcesses(ctx)
		if err != nil {
			return nil, err
		}
		return p.namespaces, nil
	}
	pids, err := s.host.ListPIDs()
	if err != nil {
		return nil, err
	}
	return s.namespaces(pids), nil
}

// whereFromBPF returns the function that asks BPF where a process lives, nil without BPF.
func (s *Scanner) whereFromBPF() func(via string) (closewait.NetNS, error) {
	if s.iterator == nil {
		return nil
	}
	return s.askWhere
}
