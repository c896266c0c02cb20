"""Waiting for something to become true, and ports nobody has."""
import re
import socket
import time
from pathlib import Path


def wait_for(what, limit_s=30, every_s=0.1):
    """Calls what() until it gives something true; its last answer is in the failure."""
    end = time.monotonic() + limit_s
    while True:
        last = what()
        if last:
            return last
        if time.monotonic() > end:
            raise AssertionError(f"still {last!r} after {limit_s} s")
        time.sleep(every_s)


def signal_when_caught(process, number):
    """Before it catches the signal, that would end it without a word."""
    def caught():
        mask = re.search(r"^SigCgt:\t(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.M)
        return int(mask[1], 16) >> (number - 1) & 1
    wait_for(caught)
    process.send_signal(number)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def free_ports(count):
    """That many at once: asked for one by one, the same could come twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()
