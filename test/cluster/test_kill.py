"""kill -9 of Weir at any moment, a hundred times, while values change and messages come: no count is ever written that its value did
not ask for, what is to stand still stands still, and no message gets two Jobs (failure-modes K4). The audit log is the witness."""
import random
import threading
import time

from api import ApiError
from namespace import deployment
from support.waiting import wait_for
from witness import Ledger, follower, replica_set, scale_writes, trigger, unexplained

KILLS = 100
LIVES_S = (0.02, 1.0)  # from its start on: it is up and knows all objects after about a tenth of a second
COUNTS = (1, 2, 4, 8, 16)
FOLLOWERS = [f"follows-{i}" for i in range(6)]
MESSAGES = 40


def scaled_job(name, url):
    template = deployment(name)["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": name},
            "spec": {"jobTargetRef": {"backoffLimit": 0, "template": template}, "pollingInterval": 1, "maxReplicaCount": 20,
                     "successfulJobsHistoryLimit": 3, "triggers": [trigger(url)]}}


class Queue:
    """Messages in a queue and the Jobs that work on them. A worker takes its message just before it ends, as with a queue that gives
    a message back when its reader dies: until then the length has it. So who has a Job too many is seen: one finds no message."""

    def __init__(self, namespace, ledger, name):
        self.namespace, self.ledger, self.name = namespace, ledger, name
        self.lock, self.sent, self.idle, self.ended, self.jobs = threading.Lock(), 0, 0, set(), []
        self.stopped = threading.Event()
        ledger.values[name] = 0
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def send(self, count):
        with self.lock:
            self.sent += count
            self.ledger.values[self.name] += count

    def end(self, pod, job):
        with self.lock:
            if self.ledger.values[self.name] == 0:
                self.idle += 1  # a Job for which there is no message
            else:
                self.ledger.values[self.name] -= 1
        self.ended.add(pod)
        self.jobs.append(job)
        self.namespace.annotate("pods", pod, **{"test.weir.dev/run-for": "0s"})

    def work(self):
        while not self.stopped.wait(0.3):
            for pod in self.namespace.list("pods", labelSelector=f"app={self.name}"):
                name = pod["metadata"]["name"]
                if pod["status"].get("phase") == "Running" and name not in self.ended and random.random() < 0.3:
                    self.end(name, pod["metadata"]["labels"]["controller-uid"])

    def stop(self):
        self.stopped.set()
        self.thread.join()


def test_killed_a_hundred_times(plane, namespace, weir):
    random.seed(4)
    ledger = Ledger(**{name: 2 for name in FOLLOWERS}, still=5, paused=1, broken=3, sleeps=0)
    for name in (*FOLLOWERS, "still", "paused", "broken", "sleeps"):
        namespace.create("replicasets", replica_set(name))
    target = {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
    for name in FOLLOWERS:
        namespace.create("scaledobjects", follower(name, ledger, target={**target, "name": name}))
    for name, more in (("still", {}), ("broken", {}), ("sleeps", {"minReplicaCount": 0, "cooldownPeriod": 0})):
        namespace.create("scaledobjects", follower(name, ledger, target={**target, "name": name}, **more))
    namespace.create("scaledobjects", follower("paused", ledger, target={**target, "name": "paused"},
                                               annotations={"autoscaling.keda.sh/paused-replicas": "7"}))
    queue = Queue(namespace, ledger, "work")
    namespace.create("scaledjobs", scaled_job("work", ledger.at("work")))
    mark = plane.audit_mark()
    w = weir()
    wait_for(lambda: [namespace.replicas(name, "replicasets") for name in ("still", "paused", "broken")] == [5, 7, 3], 20)
    ledger.failing.add("broken")
    began = time.time()
    try:
        for kill in range(KILLS):
            w.kill()
            w.spawn()
            ledger.values[random.choice(FOLLOWERS)] = random.choice(COUNTS)
            if queue.sent < MESSAGES and kill % 4 == 0:
                queue.send(random.randint(1, 4))
            time.sleep(random.uniform(*LIVES_S))
        w.kill()
        w.start()
        wait_for(lambda: all(namespace.replicas(name, "replicasets") == ledger.values[name] for name in FOLLOWERS), 20)
        wait_for(lambda: ledger.values["work"] == 0, 60)
        time.sleep(3)
    finally:
        queue.stop()
    writes = scale_writes(plane, mark, namespace=namespace.name)
    assert len(writes) > KILLS / 4 and unexplained([x for x in writes if x.name in FOLLOWERS], ledger) == []
    assert [str(x) for x in writes if x.name not in FOLLOWERS and x.at > began] == []
    assert queue.idle == 0 and len(set(queue.jobs)) == len(queue.jobs) == queue.sent
    print(f"{len(writes)} scale writes and {len(queue.jobs)} Jobs in {time.time() - began:.0f} s")
    ledger.close()
