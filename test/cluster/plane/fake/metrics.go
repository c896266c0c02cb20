package main

// metrics.k8s.io/v1beta1 as the API server's aggregation asks for it. The usage of a Pod is what a test wrote down as an annotation of
// the Pod, or, where that says nothing, of the Deployment (which hands its annotations on to its ReplicaSets) or StatefulSet it is of:
//
//	test.weir.dev/cpu: 250m           of its first container
//	test.weir.dev/memory: 64Mi
//	test.weir.dev/cpu.NAME: 10m       of the container NAME
//
// A Pod that does not run or says nothing has no metrics, as one that was not measured yet. The sample is always of this second
// and of a window of one second, so that a new Pod counts as soon as it is Ready.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	apps "k8s.io/client-go/listers/apps/v1"
	listers "k8s.io/client-go/listers/core/v1"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

const group = "/apis/metrics.k8s.io/v1beta1"

func discovery() meta.APIResourceList {
	return meta.APIResourceList{TypeMeta: meta.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: "metrics.k8s.io/v1beta1",
		APIResources: []meta.APIResource{{Name: "pods", Kind: "PodMetrics", Namespaced: true, Verbs: meta.Verbs{"get", "list"}}}}
}

type meter struct {
	pods         listers.PodLister
	replicaSets  apps.ReplicaSetLister
	statefulSets apps.StatefulSetLister
}

func newMeter(factory informers.SharedInformerFactory) *meter {
	return &meter{factory.Core().V1().Pods().Lister(), factory.Apps().V1().ReplicaSets().Lister(),
		factory.Apps().V1().StatefulSets().Lister()}
}

func (m *meter) ownerAnnotations(pod *core.Pod) map[string]string {
	owner := meta.GetControllerOf(pod)
	if owner == nil {
		return nil
	}
	if set, err := m.replicaSets.ReplicaSets(pod.Namespace).Get(owner.Name); err == nil && owner.Kind == "ReplicaSet" {
		return set.Annotations
	}
	if set, err := m.statefulSets.StatefulSets(pod.Namespace).Get(owner.Name); err == nil && owner.Kind == "StatefulSet" {
		return set.Annotations
	}
	return nil
}

// What the annotations say of a container, nil when nothing.
func said(annotations map[string]string, name core.ResourceName, container string, first bool) *resource.Quantity {
	text, given := annotations[prefix+string(name)+"."+container]
	if !given && first {
		text, given = annotations[prefix+string(name)]
	}
	if quantity, err := resource.ParseQuantity(text); given && err == nil {
		return &quantity
	}
	return nil
}

func (m *meter) usage(pod *core.Pod, index int) core.ResourceList {
	list := core.ResourceList{}
	for _, name := range []core.ResourceName{core.ResourceCPU, core.ResourceMemory} {
		for _, annotations := range []map[string]string{m.ownerAnnotations(pod), pod.Annotations} {
			if quantity := said(annotations, name, pod.Spec.Containers[index].Name, index == 0); quantity != nil {
				list[name] = *quantity
			}
		}
	}
	return list
}

// What is measured of the Pod; nil when nothing is.
func (m *meter) measured(pod *core.Pod, now time.Time) *metrics.PodMetrics {
	if pod.Status.Phase != core.PodRunning {
		return nil
	}
	result := &metrics.PodMetrics{ObjectMeta: meta.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels},
		Timestamp: meta.NewTime(now), Window: meta.Duration{Duration: time.Second}}
	for i := range pod.Spec.Containers {
		if used := m.usage(pod, i); len(used) > 0 {
			result.Containers = append(result.Containers, metrics.ContainerMetrics{Name: pod.Spec.Containers[i].Name, Usage: used})
		}
	}
	if len(result.Containers) == 0 {
		return nil
	}
	return result
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, reason meta.StatusReason, message string) {
	answer(w, status, meta.Status{TypeMeta: meta.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: meta.StatusFailure,
		Code: int32(status), Reason: reason, Message: message})
}

func (m *meter) listPods(w http.ResponseWriter, r *http.Request, namespace string) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, meta.StatusReasonBadRequest, err.Error())
		return
	}
	found, _ := m.pods.Pods(namespace).List(selector)
	list := metrics.PodMetricsList{TypeMeta: meta.TypeMeta{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1"},
		Items: []metrics.PodMetrics{}}
	for _, pod := range found {
		if one := m.measured(pod, time.Now()); one != nil {
			list.Items = append(list.Items, *one)
		}
	}
	answer(w, http.StatusOK, list)
}

func (m *meter) getPod(w http.ResponseWriter, namespace, name string) {
	pod, err := m.pods.Pods(namespace).Get(name)
	if err == nil {
		if one := m.measured(pod, time.Now()); one != nil {
			one.TypeMeta = meta.TypeMeta{Kind: "PodMetrics", APIVersion: "metrics.k8s.io/v1beta1"}
			answer(w, http.StatusOK, one)
			return
		}
	}
	refuse(w, http.StatusNotFound, meta.StatusReasonNotFound, "no metrics of pod "+namespace+"/"+name)
}

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, known := strings.CutPrefix(r.URL.Path, group)
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case known && path == "":
		answer(w, http.StatusOK, discovery())
	case known && path == "/pods":
		m.listPods(w, r, "")
	case known && len(parts) == 3 && parts[0] == "namespaces" && parts[2] == "pods":
		m.listPods(w, r, parts[1])
	case known && len(parts) == 4 && parts[0] == "namespaces" && parts[2] == "pods":
		m.getPod(w, parts[1], parts[3])
	default:
		refuse(w, http.StatusNotFound, meta.StatusReasonNotFound, r.URL.Path+" is not served here")
	}
}

// A certificate nobody knows: the APIService says insecureSkipTLSVerify, and only loopback is listened on.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func (m *meter) serve(listen string) error {
	own, err := certificate()
	if err != nil {
		return err
	}
	server := http.Server{Addr: listen, Handler: m, TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}}}
	return server.ListenAndServeTLS("", "")
}
