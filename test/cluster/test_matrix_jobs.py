"""ScaledJobs: the rows of KEDA's own acceptance matrix (keda-operator/08 1) about minimum, pause and strategies. What stands for a queue
is one whose messages jobs take when they are created, which asks the API server how many there are."""
import pytest

from rows import PAUSED, Rows, metrics_api, scaled_job
from support.source import Source

rows = Rows()


class Queue(Source):
    """So many messages were ever sent; each job has taken one."""

    def __init__(self, row, sent):
        super().__init__()
        self.row, self.sent, self.taken = row, sent, True
        row.sources.append(self)

    def answer(self, path):
        self.value = max(self.sent - (len(self.row.jobs()) if self.taken else 0), 0)
        return super().answer(path)


def wait_jobs(row, count, polls_of=None):
    """So many, and no more after a few polls."""
    row.wait(lambda: len(row.jobs()) >= count)
    if polls_of:
        row.polled(polls_of, 3)
    assert len(row.jobs()) == count


# ------------------------------------------------------------------ minimum, pause

@rows("direct")
def min_replica_sj(row):
    """minimum, most, metric -> jobs"""
    cases = {"none": (2, 100, 0, 2), "one-more": (1, 100, 1, 2), "least-above-most": (2, 1, 0, 1), "to-the-most": (2, 4, 3, 4)}
    sources = {name: row.source(value) for name, (_, _, value, _) in cases.items()}
    for name, (least, most, _, _) in cases.items():
        row.create("scaledjobs", scaled_job(metrics_api(sources[name]), name=name, minReplicaCount=least, maxReplicaCount=most))
    for name, (_, _, _, jobs) in cases.items():
        row.wait(lambda name=name, jobs=jobs: len(row.jobs(name)) >= jobs)
        row.polled(sources[name])
        assert len(row.jobs(name)) == jobs, name


@rows("direct")
def pause_scaledjob(row):
    """No new jobs while paused, and finished ones stay; ended by taking the annotation away, and by "false"."""
    source = row.source(1)
    row.create("scaledjobs", scaled_job(metrics_api(source), run_for="1s", maxReplicaCount=1))
    for end in None, "false":
        row.wait(lambda: any(job["status"].get("succeeded") for job in row.jobs()))
        row.annotate("scaledjobs", "work", **{PAUSED: "true"})
        assert row.wait_condition("Paused", "True", "ScaledJobPaused", "work", "scaledjobs") == "ScaledJob is paused"
        row.wait(lambda: all(job["status"].get("succeeded") for job in row.jobs()))
        names = sorted(job["metadata"]["name"] for job in row.jobs())
        requests = source.requests
        row.wait_event("ScaledJobPaused", "ScaledJob is paused", "work")
        for _ in range(8):
            row.wait(lambda names=names: sorted(job["metadata"]["name"] for job in row.jobs()) == names, 0)
        assert source.requests <= requests + 1  # one may have been under way
        row.annotate("scaledjobs", "work", **{PAUSED: end})
        row.wait(lambda count=len(names): len(row.jobs()) > count)
        assert row.wait_condition("Paused", "False", "ScaledJobUnpaused", "work", "scaledjobs") == "ScaledJob is unpaused"


@rows("direct")
def refused_template(row):
    """Its Jobs are refused by the API server: it is not Ready, and says why; mended it is."""
    source = row.source(1)
    body = scaled_job(metrics_api(source), maxReplicaCount=1)
    body["spec"]["jobTargetRef"]["template"]["spec"]["restartPolicy"] = "Always"
    row.create("scaledjobs", body)
    assert "restartPolicy" in row.wait_condition("Ready", "False", "ScaledJobCheckFailed", "work", "scaledjobs")
    row.patch("scaledjobs", "work", {"spec": {"jobTargetRef": {"template": {"spec": {"restartPolicy": "Never"}}}}})
    row.wait_condition("Ready", "True", "ScaledJobReady", "work", "scaledjobs")
    row.wait(lambda: row.jobs())


# ------------------------------------------------------------------ strategies

def strategy_row(row, strategy, steps, most=10):
    queue = Queue(row, 0)
    row.create("scaledjobs", scaled_job(metrics_api(queue), maxReplicaCount=most, scalingStrategy={"strategy": strategy}))
    for sent, jobs in steps:
        queue.sent = sent
        wait_jobs(row, jobs, queue)


@rows("direct")
def strategy_accurate(row):
    strategy_row(row, "accurate", [(4, 4), (8, 8), (12, 10)])


@rows("direct")
def strategy_accurate_of_pending(row):
    """Messages that nobody has taken yet are counted against the pods that are still to come."""
    queue = Queue(row, 0)
    queue.taken = False
    body = scaled_job(metrics_api(queue), maxReplicaCount=10, scalingStrategy={"strategy": "accurate"})
    body["spec"]["jobTargetRef"]["template"]["metadata"]["annotations"]["test.weir.dev/start-after"] = "600s"
    row.create("scaledjobs", body)
    for sent, jobs in (4, 4), (8, 8), (12, 10):
        queue.sent = sent
        wait_jobs(row, jobs, queue)


@rows("direct")
def strategy_eager(row):
    strategy_row(row, "eager", [(4, 4), (8, 8), (16, 10)])


@rows("direct")
def strategy_default(row):
    """Messages that stay in the queue while they are worked on: as many jobs as messages."""
    queue = Queue(row, 0)
    queue.taken = False
    row.create("scaledjobs", scaled_job(metrics_api(queue), maxReplicaCount=10))
    for sent, jobs in (4, 4), (7, 7), (20, 10):
        queue.sent = sent
        wait_jobs(row, jobs, queue)


@rows("direct")
def strategy_custom(row):
    """Less than there is in the queue: one is deducted, and those that run."""
    queue = Queue(row, 0)
    queue.taken = False
    row.create("scaledjobs", scaled_job(metrics_api(queue), maxReplicaCount=6, scalingStrategy={
        "strategy": "custom", "customScalingQueueLengthDeduction": 1, "customScalingRunningJobPercentage": "1"}))
    queue.sent = 4
    wait_jobs(row, 3, queue)


# ------------------------------------------------------------------ what finished, what is older

@rows("direct")
def history_limits(row):
    """Finished jobs are kept up to the limit, those that failed up to theirs."""
    source = row.source(5)
    for name, code in ("good", "0"), ("bad", "1"):
        body = scaled_job(metrics_api(source), name=name, run_for="1s", maxReplicaCount=5, successfulJobsHistoryLimit=2,
                          failedJobsHistoryLimit=1)
        body["spec"]["jobTargetRef"]["template"]["metadata"]["annotations"]["test.weir.dev/exit-code"] = code
        body["spec"]["jobTargetRef"]["backoffLimit"] = 0
        row.create("scaledjobs", body)
    row.wait(lambda: len(row.jobs("good")) == 5 and len(row.jobs("bad")) == 5)
    source.value = 0
    row.wait(lambda: len(row.jobs("good")) == 2 and len(row.jobs("bad")) == 1)


@rows("direct")
def rollout(row):
    """An edit ends the jobs of before, unless the rollout is gradual."""
    source = row.source(2)
    row.create("scaledjobs", scaled_job(metrics_api(source), maxReplicaCount=2))
    row.create("scaledjobs", scaled_job(metrics_api(source), name="gently", maxReplicaCount=2, rollout={"strategy": "gradual"}))
    row.wait(lambda: len(row.jobs()) == 2 and len(row.jobs("gently")) == 2)
    before = {job["metadata"]["uid"] for job in row.jobs() + row.jobs("gently")}
    for name in "work", "gently":
        row.patch("scaledjobs", name, {"spec": {"pollingInterval": 2}})
    row.wait(lambda: len(row.jobs()) == 2 and not before & {job["metadata"]["uid"] for job in row.jobs()})
    assert {job["metadata"]["uid"] for job in row.jobs("gently")} <= before
    row.wait_event("ScaledJobRolloutCleanupStarted", "Deleting 2 jobs owned by the previous version of the scaledJob", "work")


@pytest.mark.parametrize("name", rows.names())
def test_row(played, name):
    played(name)
