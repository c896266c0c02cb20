"""Graphite: carbon, which takes points, and its web application, which is asked for them.

    graphite.url                      http://127.0.0.1:P
    graphite.write("a.b", 3)          a point of now; there when this returns
"""
import socket
import time

import pytest

from install import apt
from server import Server, free_port, free_ports, wait_for

CARBON = """[cache]
STORAGE_DIR = {folder}
CONF_DIR = {folder}
LOG_DIR = {folder}/log
PID_DIR = {folder}
LOCAL_DATA_DIR = {folder}/whisper
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
ENABLE_UDP_LISTENER = False
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
MAX_CREATES_PER_MINUTE = inf
ENABLE_TAGS = False
"""
SETTINGS = """from graphite.settings import *
SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
TIME_ZONE = "UTC"
STORAGE_DIR = "{folder}"
WHISPER_DIR = "{folder}/whisper"
STANDARD_DIRS = [WHISPER_DIR]
LOG_DIR = "{folder}/log"
INDEX_FILE = "{folder}/index"
CARBONLINK_HOSTS = ["127.0.0.1:{query}"]
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}}}
DATABASES = {{"default": {{"NAME": "{folder}/web.db", "ENGINE": "django.db.backends.sqlite3", "USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}}}}
"""


class Carbon(Server):
    def __init__(self, folder):
        self.line, self.pickle, self.query = free_ports(3)
        (folder / "log").mkdir()
        (folder / "carbon.conf").write_text(CARBON.format(folder=folder, line=self.line, pickle=self.pickle, query=self.query))
        (folder / "storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 1s:1h\n")
        super().__init__(folder, "carbon", ["carbon-cache", "--nodaemon", f"--config={folder}/carbon.conf",
                                            f"--pidfile={folder}/c.pid", "start"], ready=self.line)

    def prepare(self):
        (self.folder / "c.pid").unlink(missing_ok=True)


class Graphite(Server):
    def __init__(self, folder):
        apt("graphite-carbon", "graphite-web")
        self.carbon = Carbon(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "testsettings.py").write_text(SETTINGS.format(folder=folder, query=self.carbon.query))
        django = "/usr/bin/python3 -m django"
        super().__init__(folder, "graphite", ["sh", "-c", f"{django} migrate --run-syncdb -v 0 && "
                                              f"exec {django} runserver --noreload --insecure 127.0.0.1:{self.port}"],
                         ready=f"{self.url}/render?target=a&format=json",
                         env={"DJANGO_SETTINGS_MODULE": "testsettings", "PYTHONPATH": str(folder)})

    def start(self):
        if not self.carbon.pid:
            self.carbon.start()
        return super().start()

    def __exit__(self, *about):
        super().__exit__(*about)
        self.carbon.stop()

    def stop(self):
        super().stop()
        self.carbon.stop()

    def write(self, name, value):
        with socket.create_connection(("127.0.0.1", self.carbon.line)) as line:
            line.sendall(f"{name} {value} {int(time.time())}\n".encode())
        path = self.folder / "whisper" / (name.replace(".", "/") + ".wsp")
        wait_for(path.exists, 10)


@pytest.fixture(scope="module")
def graphite(place):
    with Graphite(place("graphite")) as server:
        yield server
