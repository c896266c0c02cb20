"""The AI examples on a real control plane: the files of examples/ as they are, in direct mode, and token latency and model rebalancing
in hpa mode with the real HPA controller (retraining has no target, which KEDA and hpa mode refuse). All of it at once, by one traffic:
the files name fixed ports on loopback for their metrics.

    tokens a minute   4,999 -> 5,000 -> 300 -> 0 -> 10,000,000
    model rebalancing     0 ->     3 ->   0                     a cheap model above 5,000 tokens, by requests
    token latency         1 ->     1 ->  16 -> 16 ->          1 the formula runs away when idle and collapses under load
"""
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from external import Registration
from namespace import Namespace
from support.source import Source
from support.waiting import wait_for
from support.weir import Running

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
TOTALS, DRIFT, STAND_IN = 9100, 9101, 9102  # ports
POLLS_S = 4
REBALANCING, LATENCY, RETRAINING = "chat-small", "chat-as-written", "retrain"
FILES = {"direct": ("model-rebalancing/as-written.yaml", "token-latency/as-written.yaml", "retraining/as-written.yaml"),
         "hpa": ("model-rebalancing/as-written.yaml", "token-latency/as-written.yaml")}


class Traffic:
    """What the services of the examples would say."""

    def __init__(self):
        self.sources = {}
        try:
            for port in TOTALS, DRIFT, STAND_IN:
                self.sources[port] = wait_for(lambda port=port: self.listen(port), 60, 1)  # others on this machine may run an example
        except AssertionError:
            self.close()
            raise

    @staticmethod
    def listen(port):
        try:
            return Source(port)
        except OSError:
            return None

    def say(self, port, **values):
        self.sources[port].body = json.dumps(values).encode()

    def totals(self, tokens, requests):
        self.say(TOTALS, tokens_per_min=tokens, requests_per_min=requests)

    def close(self):
        for source in self.sources.values():
            source.close()


@pytest.fixture(scope="module")
def traffic():
    made = Traffic()
    yield made
    made.close()


@pytest.fixture(scope="module")
def stages(plane, traffic, tmp_path_factory):
    """A namespace and a Weir for each mode, with its examples; at rest."""
    traffic.totals(4999, 500)
    traffic.say(DRIFT, drift=0.05)
    traffic.say(STAND_IN, available_gpus=4, queue_length=10)
    registration = Registration(plane)
    made = {mode: Namespace(plane, f"examples-{mode}") for mode in FILES}
    weirs = []
    try:
        for (mode, namespace), user in zip(made.items(), ("weir-a", "weir-b")):
            namespace.weir = Running(tmp_path_factory.mktemp(mode), "--kubeconfig", plane.kubeconfig(user), "--mode", mode,
                                     "--watch-namespace", namespace.name, *(registration.options if mode == "hpa" else ()))
            weirs.append(namespace.weir.start())
        registration.register(weirs[-1])
        for mode, namespace in made.items():
            for path in FILES[mode]:
                namespace.apply(EXAMPLES / path)
        yield made
    finally:
        registration.close()
        for weir in weirs:
            weir.stop()
        for namespace in made.values():
            namespace.gone()


def hold(check):
    """check() is true, and stays so over some polls."""
    with pytest.raises(AssertionError):
        wait_for(lambda: not check(), POLLS_S, 0.3)


def traffic_of_a_day(stages, traffic):
    """Model rebalancing and token latency, each in both modes: what their formulas say, step by step."""
    def become(rebalancing, latency, limit_s=90):
        wanted = {(mode, name): count for mode in stages for name, count in ((REBALANCING, rebalancing), (LATENCY, latency))}

        def now():
            return {(mode, name): stages[mode].replicas(name) for mode, name in wanted}

        try:
            wait_for(lambda: now() == wanted, limit_s, 0.3)
            hold(lambda: now() == wanted)
        except BaseException as err:
            shown = "\n".join(namespace.dump() + namespace.weir.log_text()[-3000:] for namespace in stages.values())
            raise AssertionError(f"wanted {wanted}, is {now()}\n{shown}") from err

    become(0, 1)
    traffic.totals(5000, 250)
    become(3, 1)
    for namespace in stages.values():
        namespace.wait_ready(3, REBALANCING)
    traffic.totals(300, 250)  # hardly any: 1/300 is more than three times the target, and every pod makes it more
    become(0, 16, 120)
    traffic.totals(0, 250)  # 1 / 0 is no replica count
    for namespace in stages.values():
        wait_for(lambda n=namespace: n.condition("scaledobjects", LATENCY, "Ready")[0] != "True")
    become(0, 16)
    explained = stages["direct"].weir.cli("explain", LATENCY, "--namespace", stages["direct"].name).stdout
    assert "tokens_per_min / pod_count" in explained, explained
    traffic.totals(10_000_000, 0)
    become(0, 1, 120)


def retraining(stages, traffic):
    """A trainer while the model has drifted, two GPUs are free and the queue is short; as written, without a target."""
    namespace = stages["direct"]
    for drift, gpus, queue in (0.05, 4, 10), (0.2, 1, 10), (0.2, 4, 1000):
        traffic.say(DRIFT, drift=drift)
        traffic.say(STAND_IN, available_gpus=gpus, queue_length=queue)
        hold(lambda: namespace.replicas(RETRAINING) == 0)
    traffic.say(STAND_IN, available_gpus=2, queue_length=999)
    namespace.wait_ready(1, RETRAINING)
    assert "validation_drift > 0.1" in namespace.weir.cli("explain", RETRAINING, "--namespace", namespace.name).stdout
    traffic.say(DRIFT, drift=0.02)
    wait_for(lambda: namespace.replicas(RETRAINING) == 0, 60, 0.3)  # after the 15 s of its cooldown


@pytest.fixture(scope="module")
def under_way(stages, traffic, request):
    """Both at the same time, and beside them what waits as they do."""
    if any("live_hpa" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("live_hpa")
    with ThreadPoolExecutor() as pool:
        yield [pool.submit(story, stages, traffic) for story in (traffic_of_a_day, retraining)]


def test_the_traffic_of_a_day(under_way):
    under_way[0].result()


def test_retraining(under_way):
    under_way[1].result()


def test_what_the_hpa_was_given(stages):
    """In hpa mode value and target of 0.001 go together times a power of ten, for milli would lose all digits."""
    metric = stages["hpa"].get("horizontalpodautoscalers", "keda-hpa-" + LATENCY)["spec"]["metrics"][0]["external"]
    assert metric["metric"]["name"] == "composite-metric" and metric["target"]["averageValue"] != "1m"
