package cluster

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/rest"
)

// restLeases are the Leases of a namespace on the API server. No request is sent twice: after an
// answer that says when to try again, client-go would wait and then act on what has changed.
type restLeases struct {
	client    rest.Interface
	namespace string
}

const leaseResource = "leases"

func (l restLeases) get(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	return lease, l.client.Get().Namespace(l.namespace).Resource(leaseResource).Name(name).MaxRetries(0).Do(ctx).Into(lease)
}

func (l restLeases) create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	created := &coordinationv1.Lease{}
	return created, l.client.Post().Namespace(l.namespace).Resource(leaseResource).Body(lease).MaxRetries(0).Do(ctx).Into(created)
}

func (l restLeases) update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	updated := &coordinationv1.Lease{}
	return updated, l.client.Put().Namespace(l.namespace).Resource(leaseResource).Name(lease.Name).Body(lease).MaxRetries(0).Do(ctx).Into(updated)
}
