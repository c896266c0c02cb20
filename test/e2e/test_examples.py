"""The three AI policies exactly as written: formulas, targets and trigger types of examples/, with a source we hold in our hands in place
of the services, and short cooldowns. tools/run-example runs them with their real services."""
import json
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import BUILD, ROOT, free_port, wait_for


@pytest.fixture
def example(weir, source):
    def make(folder, name):
        text = (ROOT / "examples" / folder / "as-written.yaml").read_text()
        text = re.sub(r"http://127\.0\.0\.1:910[0-9]/\S*", source.url, text)
        text = text.replace("workingDir: ../..", f"workingDir: {ROOT}").replace("[build/inference-sim]", f"[{BUILD}/inference-sim]")
        text = re.sub(r"command: \[python3.*\]", 'command: [sleep, "100000"]', text)
        text = re.sub(r"cooldownPeriod: \d+", "cooldownPeriod: 2", text)
        text = re.sub(r"stabilizationWindowSeconds: \d+", "stabilizationWindowSeconds: 2", text)
        w = weir()
        w.write("example.yaml", text)
        w.say = lambda **values: setattr(source, "body", json.dumps(values).encode())
        w.replicas = lambda: w.object(name).get("specReplicas")
        w.name = name
        return w

    return make


def test_retraining(example):
    w = example("retraining", "retrain")
    w.say(drift=0.05, available_gpus=4, queue_length=10)
    w.start()
    wait_for(lambda: w.object(w.name).get("decisions", 0) >= 3)
    assert w.replicas() == 0
    for waits in ({"drift": 0.2, "available_gpus": 1, "queue_length": 10}, {"drift": 0.2, "available_gpus": 4, "queue_length": 1000}):
        w.say(**waits)
        time.sleep(2.5)
        assert w.replicas() == 0, waits
    w.say(drift=0.2, available_gpus=2, queue_length=999)
    wait_for(lambda: w.replicas() == 1)
    explained = w.cli("explain", w.name).stdout
    assert "validation_drift > 0.1" in explained
    w.say(drift=0.02, available_gpus=2, queue_length=999)
    wait_for(lambda: w.replicas() == 0)


def test_token_latency_as_written_runs_away_when_idle_and_collapses_under_load(example):
    w = example("token-latency", "chat-as-written")
    w.say(tokens_per_min=90000)
    w.start()
    wait_for(lambda: w.object(w.name).get("decisions", 0) >= 3)
    assert w.replicas() == 1
    w.say(tokens_per_min=300)  # hardly any traffic: 1/300 is more than three times the target, and every pod makes it more
    wait_for(lambda: w.replicas() == 16, 60)
    w.say(tokens_per_min=0)  # 1 / 0 is no replica count
    wait_for(lambda: w.object(w.name)["held"])
    time.sleep(4)
    assert w.replicas() == 16
    assert "division by 0" in w.cli("explain", w.name).stdout or "1 / (tokens_per_min / pod_count)" in w.cli("explain", w.name).stdout
    w.say(tokens_per_min=10_000_000)
    wait_for(lambda: w.replicas() == 1, 60)


def test_model_rebalancing(example):
    w = example("model-rebalancing", "chat-small")
    w.say(tokens_per_min=4999, requests_per_min=500)
    w.start()
    wait_for(lambda: w.object(w.name).get("decisions", 0) >= 3)
    assert w.replicas() == 0
    w.say(tokens_per_min=5000, requests_per_min=250)
    wait_for(lambda: w.replicas() == 3)
    wait_for(lambda: w.object(w.name)["readyReplicas"] == 3)
    w.say(tokens_per_min=100, requests_per_min=250)
    wait_for(lambda: w.replicas() == 0)


def test_users_do_not_wait_for_each_other():
    """The load generator's requests are no polls: a server that is slow has them all at once, which is what the examples scale on."""
    arrived, answer = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):  # Weir and a replica in one
        def do_GET(self):
            self.reply({"replicas": [{"address": "%s:%d" % self.server.server_address, "ready": True}]})

        def do_POST(self):
            arrived.append(self.path)
            answer.wait(60)
            self.reply({})

        def reply(self, value):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads, request_queue_size = True, 256

        def handle_error(self, *_):  # at the end the users are gone
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        load = subprocess.Popen([BUILD / "load-generator", "--object", "default/chat", "--weir", "http://127.0.0.1:%d" % server.server_port,
                                 "--listen", f"127.0.0.1:{free_port()}", "--ramp", "0:100,2:100"], stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: len(arrived) >= 150)
        finally:
            answer.set()
            load.terminate()
            said = load.communicate(timeout=20)[1]
            server.shutdown()
    assert " 0 failed, 0 given up" in said
