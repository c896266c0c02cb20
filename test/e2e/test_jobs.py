"""A ScaledJob on the local platform: jobs as processes, once each, with history limits."""
import time

from conftest import wait_for

JOB = """apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {{name: work}}
spec:
  pollingInterval: 1
  maxReplicaCount: {maximum}
  successfulJobsHistoryLimit: 2
  failedJobsHistoryLimit: 1
  jobTargetRef:
    backoffLimit: 0
    template:
      spec:
        restartPolicy: Never
        containers:
        - {{name: main, image: example, command: [sh, -c, "{command}"]}}
  triggers:
  - type: metrics-api
    metadata: {{url: "{url}", valueLocation: value, targetValue: "1"}}
"""


def jobs(w):
    return w.object("work").get("jobs", [])


def test_jobs_are_created_once_and_history_is_kept_short(weir, source, tmp_path):
    w = weir()
    marks = tmp_path / "marks"
    marks.mkdir()
    w.write("job.yaml", JOB.format(url=source.url, maximum=3, command=f"mktemp {marks}/XXXXXX; sleep 2"))
    source.value = 3
    w.start()
    wait_for(lambda: len(list(marks.iterdir())) == 3)
    source.value = 0
    wait_for(lambda: jobs(w) and all(j["state"] == "succeeded" for j in jobs(w)))
    wait_for(lambda: len(jobs(w)) == 2)
    time.sleep(2)
    assert len(list(marks.iterdir())) == 3


def test_failed_jobs(weir, source):
    w = weir()
    w.write("job.yaml", JOB.format(url=source.url, maximum=2, command="exit 3"))
    source.value = 2
    w.start()
    wait_for(lambda: any(j["state"] == "failed" for j in jobs(w)))
    source.value = 0
    wait_for(lambda: len(jobs(w)) == 1)


def test_jobs_survive_a_kill_of_weir(weir, source, tmp_path):
    w = weir()
    marks = tmp_path / "marks"
    marks.mkdir()
    w.write("job.yaml", JOB.format(url=source.url, maximum=2, command=f"mktemp {marks}/XXXXXX; sleep 4"))
    source.value = 2
    w.start()
    wait_for(lambda: len(list(marks.iterdir())) == 2)
    w.kill()
    w.start()
    source.value = 0
    wait_for(lambda: [j["state"] for j in jobs(w)] == ["succeeded", "succeeded"])
    assert len(list(marks.iterdir())) == 2
