package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"closewait_exporter/closewait"
)

// Evict asks the API server to evict the pod of a process from a node. It asks for the eviction at
// most once, and only of a pod with the uid of the process: a request for another pod would be
// refused, and would use up the budget all the same. Errors are closewait.ErrDisruptionBudget,
// closewait.ErrTerminating, closewait.ErrRefused, closewait.ErrGone, or closewait.ErrCluster.
func (c *Client) Evict(ctx context.Context, node string, e closewait.Eviction) (closewait.EvictionResult, error) {
	pod, err := c.find(ctx, node, e)
	if err != nil {
		return closewait.EvictionResult{}, err
	}
	r := closewait.EvictionResult{Pod: pod.Namespace + "/" + pod.Name}
	if err := c.evictable(ctx, pod, node, e); err != nil {
		return r, fmt.Errorf("pod %s: %w", r.Pod, err)
	}
	err = c.post(ctx, pod, e.DryRun)
	if err != nil && !answered(err) && !e.DryRun {
		r.Sent = true // it can arrive later
		err = c.afterLostAnswer(ctx, pod, err)
	}
	if err != nil {
		return r, fmt.Errorf("pod %s: %w", r.Pod, explainAnswer(err))
	}
	r.Sent = !e.DryRun
	return r, nil
}

// find returns the pod with the uid of the process, as it is now.
func (c *Client) find(ctx context.Context, node string, e closewait.Eviction) (*corev1.Pod, error) {
	for _, namespace := range e.Namespaces {
		var pods corev1.PodList
		err := c.core.Get().Namespace(namespace).Resource("pods").
			VersionedParams(&metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()}, metav1.ParameterCodec).
			MaxRetries(0).Do(ctx).Into(&pods)
		if err != nil {
			return nil, fmt.Errorf("%w: list the pods of namespace %s on node %s: %w", closewait.ErrCluster, namespace, node, err)
		}
		for i := range pods.Items {
			if p := &pods.Items[i]; string(p.UID) == e.PodUID {
				return c.get(ctx, p)
			}
		}
	}
	return nil, fmt.Errorf("%w: no pod of node %s in %s has the uid %s of the process", closewait.ErrRefused, node, strings.Join(e.Namespaces, ", "), e.PodUID)
}

// get reads a pod again. One with the same name and another uid is another pod.
func (c *Client) get(ctx context.Context, listed *corev1.Pod) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := c.core.Get().Namespace(listed.Namespace).Resource("pods").Name(listed.Name).MaxRetries(0).Do(ctx).Into(pod)
	name := listed.Namespace + "/" + listed.Name
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: pod %s", closewait.ErrGone, name)
	case err != nil:
		return nil, fmt.Errorf("%w: read pod %s: %w", closewait.ErrCluster, name, err)
	case pod.UID != listed.UID:
		return nil, fmt.Errorf("%w: pod %s has the uid %s, not %s", closewait.ErrGone, name, pod.UID, listed.UID)
	}
	return pod, nil
}

// evictable returns why a pod must not be evicted: as kubectl drain, it leaves alone what would not
// come back or would lose its data.
func (c *Client) evictable(ctx context.Context, pod *corev1.Pod, node string, e closewait.Eviction) error {
	if pod.DeletionTimestamp != nil {
		return closewait.ErrTerminating
	}
	if why := unfit(pod, node, e.Allow); why != "" {
		return fmt.Errorf("%w: %s", closewait.ErrRefused, why)
	}
	budgets, err := c.budgets(ctx, pod)
	switch {
	case err != nil:
		return fmt.Errorf("%w: list the PodDisruptionBudgets of namespace %s: %w", closewait.ErrCluster, pod.Namespace, err)
	case len(budgets) > 1:
		return fmt.Errorf("%w: it has %d PodDisruptionBudgets (%s), which eviction does not support", closewait.ErrRefused, len(budgets), strings.Join(budgets, ", "))
	case len(budgets) == 0 && !e.Allow.NoPDB:
		return fmt.Errorf("%w: it has no PodDisruptionBudget, so nothing keeps its replicas from being evicted together: make one, use fleet.slots, or allow no_pdb", closewait.ErrRefused)
	}
	return nil
}

// unfit returns why a pod must not be evicted; empty if it may.
func unfit(pod *corev1.Pod, node string, allow closewait.EvictionAllowance) string {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	controller := metav1.GetControllerOf(pod)
	switch {
	case pod.Spec.NodeName != node:
		return fmt.Sprintf("it is on node %q", pod.Spec.NodeName)
	case mirror:
		return "it is a static pod of the kubelet, which eviction does not end"
	case controller == nil && !allow.Bare:
		return "no controller would start it again: allow bare"
	case controller != nil && controller.Kind == "Job" && !allow.Job:
		return "it belongs to a Job, which would lose its work: allow job"
	}
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.EmptyDir != nil && !allow.EmptyDir {
			return fmt.Sprintf("the data of its volume %s (emptyDir) would be lost: allow emptydir", v.Name)
		}
	}
	return ""
}

// budgets returns the names of the PodDisruptionBudgets of a pod.
func (c *Client) budgets(ctx context.Context, pod *corev1.Pod) ([]string, error) {
	var list policyv1.PodDisruptionBudgetList
	if err := c.policy.Get().Namespace(pod.Namespace).Resource("poddisruptionbudgets").MaxRetries(0).Do(ctx).Into(&list); err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		selector, err := metav1.LabelSelectorAsSelector(list.Items[i].Spec.Selector)
		if err != nil {
			return nil, err
		}
		if selector.Matches(labels.Set(pod.Labels)) {
			names = append(names, list.Items[i].Name)
		}
	}
	return names, nil
}

// post sends the eviction. client-go would send it again after a 429, for as long as the API server
// says so, when the evidence is old.
func (c *Client) post(ctx context.Context, pod *corev1.Pod, dryRun bool) error {
	uid := types.UID(pod.UID)
	eviction := &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
	}
	if dryRun {
		eviction.DeleteOptions.DryRun = []string{metav1.DryRunAll}
	}
	return c.core.Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("eviction").Body(eviction).MaxRetries(0).Do(ctx).Error()
}

// answered reports whether the API server has decided. After an error of its own, such as a timeout
// of etcd, the pod may have been evicted all the same.
func answered(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= 400 && code < 500 && !apierrors.IsTimeout(err) || hasTwoBudgets(err)
}

// hasTwoBudgets recognises the answer of the API server to the eviction of a pod with more than one
// PodDisruptionBudget, which has no reason of its own.
func hasTwoBudgets(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "more than one PodDisruptionBudget")
}

// afterLostAnswer reads the pod to find out whether its eviction has begun.
func (c *Client) afterLostAnswer(ctx context.Context, pod *corev1.Pod, lost error) error {
	now, err := c.get(ctx, pod)
	if errors.Is(err, closewait.ErrGone) || err == nil && now.DeletionTimestamp != nil {
		return nil
	}
	return fmt.Errorf("%w: the answer was lost (%w), and the pod is not terminating: it is not asked again before the cooldown is over", closewait.ErrCluster, lost)
}

// explainAnswer says what an answer of the API server means.
func explainAnswer(err error) error {
	switch {
	case errors.Is(err, closewait.ErrCluster):
		return err
	case apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
		return fmt.Errorf("%w: %w", closewait.ErrDisruptionBudget, err)
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return fmt.Errorf("%w: %w", closewait.ErrGone, err)
	case hasTwoBudgets(err):
		return fmt.Errorf("%w: %w", closewait.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", closewait.ErrCluster, err)
}
