package main

// A Pod's life without containers. Where it stands follows from its annotations (put them on the Pod template), its age and the
// clock alone:
//
//	test.weir.dev/start-after: 3s   stays Pending this long (default 0s)
//	test.weir.dev/ready-after: 2s   runs, but is not Ready, this long after its start (default 0s)
//	test.weir.dev/run-for: 5s       then its containers end; a Pod with restartPolicy Always runs on (default: runs until deleted)
//	test.weir.dev/exit-code: "1"    how they end (default 0)
//
// Kubernetes keeps times in whole seconds, so each of these may come up to a second early or late. Every Pod has the address
// 127.0.0.1: what a test wants it to answer can be served there.

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	prefix  = "test.weir.dev/"
	node    = "fake-0"
	address = "127.0.0.1"
)

type kubelet struct {
	client kubernetes.Interface
	pods   listers.PodLister
}

// A duration of the annotations; what cannot be read counts as not given.
func duration(pod *core.Pod, name string) (time.Duration, bool) {
	d, err := time.ParseDuration(pod.Annotations[prefix+name])
	return d, err == nil
}

func condition(kind core.PodConditionType, holds bool, since meta.Time) core.PodCondition {
	status := core.ConditionFalse
	if holds {
		status = core.ConditionTrue
	}
	return core.PodCondition{Type: kind, Status: status, LastTransitionTime: since}
}

func conditions(ready bool, since, started meta.Time) []core.PodCondition {
	return []core.PodCondition{
		condition(core.PodScheduled, true, started), condition(core.PodInitialized, true, started),
		condition(core.ContainersReady, ready, since), condition(core.PodReady, ready, since),
	}
}

func containers(pod *core.Pod, ready bool, state core.ContainerState) []core.ContainerStatus {
	list := make([]core.ContainerStatus, 0, len(pod.Spec.Containers))
	started := state.Running != nil
	for _, c := range pod.Spec.Containers {
		list = append(list, core.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image, Ready: ready, Started: &started,
			State: state})
	}
	return list
}

func exitCode(pod *core.Pod) int32 {
	code, _ := strconv.ParseInt(pod.Annotations[prefix+"exit-code"], 10, 32)
	return int32(code)
}

func ended(pod *core.Pod, code int32, started, at meta.Time) core.PodStatus {
	phase, reason := core.PodSucceeded, "Completed"
	if code != 0 {
		phase, reason = core.PodFailed, "Error"
	}
	state := core.ContainerState{Terminated: &core.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: started,
		FinishedAt: at}}
	return core.PodStatus{Phase: phase, PodIP: address, PodIPs: []core.PodIP{{IP: address}}, StartTime: &started,
		Conditions: conditions(false, at, started), ContainerStatuses: containers(pod, false, state)}
}

func running(pod *core.Pod, started meta.Time, ready bool, since meta.Time) core.PodStatus {
	state := core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: started}}
	return core.PodStatus{Phase: core.PodRunning, PodIP: address, PodIPs: []core.PodIP{{IP: address}}, StartTime: &started,
		Conditions: conditions(ready, since, started), ContainerStatuses: containers(pod, ready, state)}
}

// The status a bound Pod has now and how long that holds (0: until something changes).
func statusAt(pod *core.Pod, now time.Time) (core.PodStatus, time.Duration) {
	pause, _ := duration(pod, "start-after")
	if wait := pod.CreationTimestamp.Add(pause).Sub(now); wait > 0 {
		return pod.Status, wait
	}
	started := meta.NewTime(now.Truncate(time.Second))
	if pod.Status.StartTime != nil {
		started = *pod.Status.StartTime
	}
	life, ends := duration(pod, "run-for")
	ends = ends && pod.Spec.RestartPolicy != core.RestartPolicyAlways
	left := started.Add(life).Sub(now)
	if ends && left <= 0 {
		return ended(pod, exitCode(pod), started, meta.NewTime(started.Add(life))), 0
	}
	warmUp, _ := duration(pod, "ready-after")
	if wait := started.Add(warmUp).Sub(now); wait > 0 {
		if !ends || wait < left {
			left = wait
		}
		return running(pod, started, false, started), left
	}
	if !ends {
		left = 0
	}
	return running(pod, started, true, meta.NewTime(started.Add(warmUp))), left
}

func (k *kubelet) bind(ctx context.Context, pod *core.Pod) error {
	return k.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &core.Binding{
		ObjectMeta: meta.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     core.ObjectReference{Kind: "Node", Name: node}}, meta.CreateOptions{})
}

// The fields of a status that this program writes, comparable with what came back from the API server.
func written(s core.PodStatus) string {
	text, _ := json.Marshal([]any{s.Phase, s.StartTime, s.Conditions, s.ContainerStatuses, s.PodIP})
	return string(text)
}

func (k *kubelet) write(ctx context.Context, pod *core.Pod, status core.PodStatus) error {
	if written(pod.Status) == written(status) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, meta.PatchOptions{}, "status")
	return err
}

func finished(pod *core.Pod) bool {
	return pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
}

// A Pod that somebody's finalizer holds (a Job counts its Pods by one) is seen killed before it goes.
func (k *kubelet) remove(ctx context.Context, pod *core.Pod) error {
	if len(pod.Finalizers) > 0 && !finished(pod) {
		now := meta.Now().Rfc3339Copy()
		return k.write(ctx, pod, ended(pod, 137, now, now))
	}
	var now int64
	return k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name,
		meta.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &meta.Preconditions{UID: &pod.UID}})
}

// Brings one Pod a step further; the change it makes brings the Pod here again.
func (k *kubelet) sync(ctx context.Context, name cache.ObjectName) (again time.Duration, err error) {
	pod, err := k.pods.Pods(name.Namespace).Get(name.Name)
	if err != nil {
		return 0, nil // deleted
	}
	switch {
	case pod.DeletionTimestamp != nil:
		err = k.remove(ctx, pod)
	case pod.Spec.NodeName == "":
		err = k.bind(ctx, pod)
	case finished(pod):
	default:
		var status core.PodStatus
		status, again = statusAt(pod, time.Now())
		err = k.write(ctx, pod, status)
	}
	if errors.IsNotFound(err) || errors.IsConflict(err) {
		return 0, nil // it changed meanwhile: that change is on its way here
	}
	return again, err
}
