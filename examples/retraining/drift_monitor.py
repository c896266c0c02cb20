"""drift_monitor PORT: watches how wrong the model in use has become. Always on; cheap.

Every fifth event is held back: the trainer never sees it. The model's error on the held-back events of the last ten seconds, less its
error when it came into use, is the drift.

    GET /drift   {"drift": 0.07, "error": 0.12, "error_when_new": 0.05, "model": 3}
    GET /events  the last events that may be trained on
    PUT /model   the weights of a new model, in use at once
"""
import collections
import random
import sys
import threading
import time

import http_json
import stream

TICK_S, EVENTS_PER_TICK = 0.25, 50
HELD_BACK_S, TRAINING_S = 10, 10
HELD_BACK_EVERY = 5


class Monitor:
    def __init__(self):
        per_s = EVENTS_PER_TICK / TICK_S
        self.lock = threading.Lock()
        self.rng = random.Random(7)
        self.held_back = collections.deque(maxlen=int(per_s * HELD_BACK_S / HELD_BACK_EVERY))
        self.training = collections.deque(maxlen=int(per_s * TRAINING_S))
        self.started = time.monotonic()
        self.weights = stream.plane_at(0) + [0.0]  # a model that was right when the example began
        self.model, self.error_when_new = 1, stream.WRONG_LABELS

    def seconds(self):
        return time.monotonic() - self.started

    def watch(self):
        while True:
            events = stream.draw(self.rng, self.seconds(), EVENTS_PER_TICK)
            with self.lock:
                for i, event in enumerate(events):
                    (self.training if i % HELD_BACK_EVERY else self.held_back).append(event)
            time.sleep(TICK_S)

    def drift(self):
        with self.lock:
            error = stream.error_of(self.weights, self.held_back)
            return {"drift": round(max(0.0, error - self.error_when_new), 4), "error": round(error, 4),
                    "error_when_new": round(self.error_when_new, 4), "model": self.model}

    def events(self):
        with self.lock:
            return list(self.training)

    def use(self, weights):
        if len(weights) != stream.FEATURES + 1:
            raise ValueError(f"a model has {stream.FEATURES + 1} weights")
        with self.lock:
            self.weights = [float(w) for w in weights]
            self.model += 1
            self.error_when_new = stream.error_of(self.weights, self.held_back)
        return self.drift()


def main():
    monitor = Monitor()
    threading.Thread(target=monitor.watch, daemon=True).start()
    http_json.serve(int(sys.argv[1]), {"/drift": monitor.drift, "/events": monitor.events}, {"/model": monitor.use})


if __name__ == "__main__":
    main()
