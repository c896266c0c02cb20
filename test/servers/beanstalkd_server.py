"""beanstalkd, filled over its own protocol: beanstalkd.put("mails", 3), .put("mails", 1, delay=1000), .reserve("mails")"""
import socket

import pytest

from install import apt
from server import Server, free_port


class Beanstalkd(Server):
    def __init__(self, folder):
        apt("beanstalkd")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.open = []
        super().__init__(folder, "beanstalkd", ["beanstalkd", "-l", "127.0.0.1", "-p", self.port, "-b", folder], ready=self.port)

    def say(self, *lines, keep=False):
        """The answers' first lines; keep: the connection stays open, and with it what was reserved."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        stream = s.makefile("rwb")
        answers = []
        for line in lines:
            stream.write(line.encode() + b"\r\n")
            stream.flush()
            answers.append(stream.readline().decode().strip())
        self.open.append((s, stream))
        if not keep:
            stream.close()
            s.close()
        return answers

    def put(self, tube, count=1, delay=0):
        for _ in range(count):
            assert self.say(f"use {tube}", f"put 0 {delay} 600 1\r\nx")[1].startswith("INSERTED")

    def reserve(self, tube):
        assert self.say(f"watch {tube}", "reserve-with-timeout 2", keep=True)[1].startswith("RESERVED")


@pytest.fixture(scope="session")
def beanstalkd(servers):
    return servers.once(Beanstalkd)
