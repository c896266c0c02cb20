"""stand_in PORT: a stand-in for what is not on this machine: a pool of four GPUs, and the queue of the serving models.

    GET /            {"gpus": 4, "available_gpus": 4, "queue_length": 0}
    PUT /busy        others use this many GPUs:      curl -X PUT 127.0.0.1:9102/busy -d 3
    PUT /queue       requests wait to be served:     curl -X PUT 127.0.0.1:9102/queue -d 2000
    PUT /take, /give GPUs taken and given back by the trainer
"""
import sys
import threading

import http_json

GPUS = 4


class Pool:
    def __init__(self):
        self.lock = threading.Lock()
        self.busy = self.taken = self.queue = 0

    def state(self):
        with self.lock:
            return {"gpus": GPUS, "available_gpus": max(0, GPUS - self.busy - self.taken), "queue_length": self.queue}

    def set(self, name, value, most):
        value = int(value)
        if not 0 <= value <= most:
            raise ValueError(f"a number from 0 to {most}, please")
        with self.lock:
            setattr(self, name, value)
        return self.state()

    def take(self, count):
        with self.lock:
            taken = max(0, min(int(count), GPUS - self.busy - self.taken))
            self.taken += taken
            return {"taken": taken}

    def give(self, count):
        with self.lock:
            self.taken = max(0, self.taken - int(count))
        return self.state()


def main():
    pool = Pool()
    http_json.serve(int(sys.argv[1]), {"/": pool.state},
                    {"/busy": lambda n: pool.set("busy", n, GPUS), "/queue": lambda n: pool.set("queue", n, 1000000),
                     "/take": pool.take, "/give": pool.give})


if __name__ == "__main__":
    main()
