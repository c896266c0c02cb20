"""train MONITOR POOL: what the Deployment runs. Refits the model on the newest events while the drift is above LIMIT, and waits.

It does not end when it is done: a Deployment's process that ends is started again. Weir takes it away once the drift has been low for
the cooldown. While it fits it holds two of the pool's GPUs (of the stand-in's pool; the fitting is plain Python).
"""
import math
import signal
import sys
import time

import http_json
import stream

LIMIT, GPUS = 0.1, 2
ROUNDS, RATE = 200, 0.2 # a few seconds


def fit(events):
    """Logistic regression by gradient descent, from nothing: the old model is of another time."""
    weights = [0.0] * (stream.FEATURES + 1)
    for _ in range(ROUNDS):
        gradient = [0.0] * len(weights)
        for event in events:
            x = event[:-1]
            p = 1 / (1 + math.exp(-max(-30.0, min(30.0, stream.side(weights, x) + weights[-1]))))
            for i, xi in enumerate(x):
                gradient[i] += (event[-1] - p) * xi
            gradient[-1] += event[-1] - p
        weights = [w + RATE * g / len(events) for w, g in zip(weights, gradient)]
    return weights


def retrain(monitor, pool):
    taken = http_json.put(pool + "/take", GPUS)
    try:
        began = time.monotonic()
        before = http_json.get(monitor + "/drift")
        after = http_json.put(monitor + "/model", fit(http_json.get(monitor + "/events")))
        print(f"model {after['model']} after {time.monotonic() - began:.1f} s: error {before['error']} -> {after['error']}, "
              f"drift {before['drift']} -> {after['drift']}", flush=True)
    finally:
        http_json.put(pool + "/give", taken["taken"])


def stop(*_):
    raise SystemExit(0)


def main():
    monitor, pool = sys.argv[1:]
    signal.signal(signal.SIGTERM, stop)
    while True:
        try:
            if http_json.get(monitor + "/drift")["drift"] > LIMIT:
                retrain(monitor, pool)
        except OSError as e:
            print(f"waiting: {e}", flush=True)
        time.sleep(2)


if __name__ == "__main__":
    main()
