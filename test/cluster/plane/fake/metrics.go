package main

// metrics.k8s.io/v1beta1 as the API server's aggregation asks for it. The usage of a Pod is what is written on it, so that a test says
// "this Pod uses 250m" by an annotation, on the template or on the living Pod:
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
	listers "k8s.io/client-go/listers/core/v1"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

const group = "/apis/metrics.k8s.io/v1beta1"

func discovery() meta.APIResourceList {
	return meta.APIResourceList{TypeMeta: meta.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: "metrics.k8s.io/v1beta1",
		APIResources: []meta.APIResource{{Name: "pods", Kind: "PodMetrics", Namespaced: true, Verbs: meta.Verbs{"get", "list"}}}}
}

func usage(pod *core.Pod, index int) core.ResourceList {
	list := core.ResourceList{}
	for _, name := range []core.ResourceName{core.ResourceCPU, core.ResourceMemory} {
		text, given := pod.Annotations[prefix+string(name)+"."+pod.Spec.Containers[index].Name]
		if !given && index == 0 {
			text, given = pod.Annotations[prefix+string(name)]
		}
		if quantity, err := resource.ParseQuantity(text); given && err == nil {
			list[name] = quantity
		}
	}
	return list
}

// What is measured of the Pod; nil when nothing is.
func measured(pod *core.Pod, now time.Time) *metrics.PodMetrics {
	if pod.Status.Phase != core.PodRunning {
		return nil
	}
	m := &metrics.PodMetrics{ObjectMeta: meta.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels},
		Timestamp: meta.NewTime(now), Window: meta.Duration{Duration: time.Second}}
	for i := range pod.Spec.Containers {
		if used := usage(pod, i); len(used) > 0 {
			m.Containers = append(m.Containers, metrics.ContainerMetrics{Name: pod.Spec.Containers[i].Name, Usage: used})
		}
	}
	if len(m.Containers) == 0 {
		return nil
	}
	return m
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

func listPods(w http.ResponseWriter, r *http.Request, pods listers.PodLister, namespace string) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, meta.StatusReasonBadRequest, err.Error())
		return
	}
	found, _ := pods.Pods(namespace).List(selector)
	list := metrics.PodMetricsList{TypeMeta: meta.TypeMeta{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1"},
		Items: []metrics.PodMetrics{}}
	for _, pod := range found {
		if m := measured(pod, time.Now()); m != nil {
			list.Items = append(list.Items, *m)
		}
	}
	answer(w, http.StatusOK, list)
}

func getPod(w http.ResponseWriter, pods listers.PodLister, namespace, name string) {
	pod, err := pods.Pods(namespace).Get(name)
	if err == nil {
		if m := measured(pod, time.Now()); m != nil {
			m.TypeMeta = meta.TypeMeta{Kind: "PodMetrics", APIVersion: "metrics.k8s.io/v1beta1"}
			answer(w, http.StatusOK, m)
			return
		}
	}
	refuse(w, http.StatusNotFound, meta.StatusReasonNotFound, "no metrics of pod "+namespace+"/"+name)
}

func handler(pods listers.PodLister) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path, known := strings.CutPrefix(r.URL.Path, group)
		parts := strings.Split(strings.Trim(path, "/"), "/")
		switch {
		case known && path == "":
			answer(w, http.StatusOK, discovery())
		case known && path == "/pods":
			listPods(w, r, pods, "")
		case known && len(parts) == 3 && parts[0] == "namespaces" && parts[2] == "pods":
			listPods(w, r, pods, parts[1])
		case known && len(parts) == 4 && parts[0] == "namespaces" && parts[2] == "pods":
			getPod(w, pods, parts[1], parts[3])
		default:
			refuse(w, http.StatusNotFound, meta.StatusReasonNotFound, r.URL.Path+" is not served here")
		}
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

func serveMetrics(listen string, pods listers.PodLister) error {
	own, err := certificate()
	if err != nil {
		return err
	}
	server := http.Server{Addr: listen, Handler: handler(pods), TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}}}
	return server.ListenAndServeTLS("", "")
}
