// The fake: what stands between the test control plane and Pods that run nothing. It is the scheduler (binds every Pod to one node
// that does not exist), the kubelet (writes the status a container's life would have given, see pods.go) and the metrics server (tells
// the usage that tests wrote on the Pods, see metrics.go), each only as far as an autoscaler can see it. No container is ever started.
//
// The Pods come from one watch; a queue hands each changed Pod to one of a few workers, and one that is waiting for the clock
// comes again by itself. Everything it knows is in the API server, so it can be killed and started at any time.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

const workers = 16

type queue = workqueue.TypedRateLimitingInterface[cache.ObjectName]

// What failed, mostly because the Pod was changed meanwhile, is tried again soon and for ever.
func newQueue() queue {
	again := workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](20*time.Millisecond, time.Second)
	return workqueue.NewTypedRateLimitingQueue[cache.ObjectName](again)
}

func enqueueing(q queue) cache.ResourceEventHandlerFuncs {
	add := func(object any) {
		if name, err := cache.ObjectToName(object); err == nil {
			q.Add(name)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, object any) { add(object) }}
}

func (k *kubelet) work(ctx context.Context, q queue) {
	for {
		name, stop := q.Get()
		if stop {
			return
		}
		again, err := k.sync(ctx, name)
		if err != nil {
			log.Printf("%v: %v", name, err)
			q.AddRateLimited(name)
		} else {
			q.Forget(name)
			if again > 0 {
				q.AddAfter(name, again)
			}
		}
		q.Done(name)
	}
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	listen := flag.String("metrics-listen", "", "address of metrics.k8s.io (HTTPS, own certificate); none when empty")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	config.QPS = -1 // how fast it is must not be what is measured
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client := kubernetes.NewForConfigOrDie(config)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	q := newQueue()
	if _, err := pods.Informer().AddEventHandler(enqueueing(q)); err != nil {
		log.Fatal(err)
	}
	if *listen != "" {
		metrics := newMeter(factory)
		go func() { log.Fatal(metrics.serve(*listen)) }()
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	k := &kubelet{client: client, pods: pods.Lister()}
	for range workers {
		go k.work(ctx, q)
	}
	<-ctx.Done()
}
