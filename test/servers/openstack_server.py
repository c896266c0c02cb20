"""OpenStack, as far as its two triggers ask it: Keystone, and the object store Swift (proxy, account, container and object server on one
disk), which takes Keystone's tokens.

    cloud.parts(containerName="jobs")            metadata; the credentials of user "app" in project "shop" are
    cloud.password(), cloud.application()        by user and password, by an application credential
    cloud.put("jobs", "new/a")                   an object without bytes; cloud.make("jobs") an empty container
    cloud.keystone.forget_tokens()               no token that it gave is good any more
    cloud.keystone.admin("PATCH", "/users/ID", {...})      as its administrator
    cloud.swift.stop(), cloud.swift.start()
"""
import base64
import getpass
import json
import os
import subprocess
import urllib.request

import pytest

from install import pip
from server import Server, answers, free_port, free_ports, listens

KEYSTONE = """[DEFAULT]
log_dir = {folder}
[database]
connection = sqlite:///{folder}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
"""
SERVE_KEYSTONE = """import sys
from keystone.server.wsgi import initialize_public_application
from werkzeug.serving import run_simple
port = int(sys.argv.pop())  # Keystone reads the rest
run_simple("127.0.0.1", port, initialize_public_application(), threaded=True)
"""

SERVE_SWIFT = """import sys
from swift.common import utils
folder, kind = sys.argv[1:]
utils.set_swift_dir(folder)
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi(f"{folder}/{kind}.conf", f"{kind}-server"))
"""
STORAGE = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
workers = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
# Tokens are asked about each time: one that Keystone has forgotten is refused at once.
PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
workers = 0
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck authtoken keystoneauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = admin
username = admin
password = adminpw
delay_auth_decision = True
token_cache_time = -1
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
"""


def python():
    return pip("openstack", "keystone==30.0.0", "swift==2.38.3", "keystonemiddleware==13.0.1", "setuptools==75.8.0")


def write_keys(folder):
    """What `keystone-manage fernet_setup` makes: the key in use and the next one."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in "01":
        (folder / name).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
        (folder / name).chmod(0o600)


def call(method, url, body=None, token=None):
    """The JSON that it answers with, and its headers; an error of HTTP is raised."""
    headers = {"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {})}
    request = urllib.request.Request(url, method=method, headers=headers, data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text and "json" in answer.headers.get("Content-Type", "") else None, answer.headers


class Keystone(Server):
    def __init__(self, folder):
        self.python, self.port = python(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/v3"
        (folder / "keystone.conf").write_text(KEYSTONE.format(folder=folder))
        (folder / "serve.py").write_text(SERVE_KEYSTONE)
        super().__init__(folder, "keystone", [self.python, folder / "serve.py", self.port], ready=self.url, ready_s=120,
                         env={"OS_KEYSTONE_CONFIG_DIR": str(folder), "OS_KEYSTONE_CONFIG_FILES": "keystone.conf"})

    def manage(self, *words):
        done = subprocess.run([self.python.parent / "keystone-manage", "--config-file", self.folder / "keystone.conf", *words],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def prepare(self):
        if (self.folder / "keystone.db").exists():
            return
        write_keys(self.folder / "fernet")
        write_keys(self.folder / "credential")
        self.manage("db_sync")
        self.manage("bootstrap", "--bootstrap-password", "adminpw", "--bootstrap-region-id", "here", *(
            word for kind in ("public", "internal", "admin") for word in (f"--bootstrap-{kind}-url", self.url)))

    def token(self, user, password, project):
        """By the IDs of a user and a project, or the administrator's names."""
        who = {"name": user, "domain": {"id": "default"}} if user == "admin" else {"id": user}
        where = {"name": project, "domain": {"id": "default"}} if project == "admin" else {"id": project}
        return call("POST", f"{self.url}/auth/tokens", {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {**who, "password": password}}},
            "scope": {"project": where}}})[1]["X-Subject-Token"]

    def admin(self, method, path, body=None):
        return call(method, self.url + path, body, self.token("admin", "adminpw", "admin"))[0]

    def forget_tokens(self):
        """The keys that they were made with are replaced."""
        write_keys(self.folder / "fernet")


class Swift(Server):
    def __init__(self, folder, keystone):
        self.python, self.ports = python(), dict(zip(("account", "container", "object"), free_ports(3)))
        self.port, user = free_port(), getpass.getuser()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "disks" / "d1").mkdir(parents=True)
        (folder / "serve.py").write_text(SERVE_SWIFT)
        (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = test\n")
        (folder / "proxy.conf").write_text(PROXY.format(folder=folder, port=self.port, user=user, keystone=keystone.url))
        for kind, port in self.ports.items():
            (folder / f"{kind}.conf").write_text(STORAGE.format(folder=folder, kind=kind, port=port, user=user))
            for words in (("create", "8", "1", "1"), ("add", f"r1z1-127.0.0.1:{port}/d1", "1"), ("rebalance",)):
                done = subprocess.run([self.python.parent / "swift-ring-builder", folder / f"{kind}.builder", *words],
                                      capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stdout + done.stderr
        serve = f"{self.python} {folder}/serve.py {folder}"
        super().__init__(folder, "swift", ["sh", "-c", f"{serve} account & {serve} container & {serve} object & exec {serve} proxy"],
                         ready=lambda: answers(f"{self.url}/healthcheck") and all(map(listens, self.ports.values())))


class Users:
    """A project "shop" of Keystone's, and its user "app"."""

    def __init__(self, keystone):
        self.keystone, self.word, admin = keystone, "apppw", keystone.admin
        self.project = admin("POST", "/projects", {"project": {"name": "shop", "domain_id": "default"}})["project"]["id"]
        self.user = admin("POST", "/users", {"user": {"name": "app", "password": self.word, "domain_id": "default"}})["user"]["id"]
        role = admin("GET", "/roles?name=member")["roles"][0]["id"]
        admin("PUT", f"/projects/{self.project}/users/{self.user}/roles/{role}")

    def token(self):
        return self.keystone.token(self.user, self.word, self.project)

    def password(self, **more):
        return {"authURL": self.keystone.url, "userID": self.user, "password": self.word, "projectID": self.project, **more}

    def application(self):
        made = call("POST", f"{self.keystone.url}/users/{self.user}/application_credentials",
                    {"application_credential": {"name": "weir"}}, self.token())[0]["application_credential"]
        return {"authURL": self.keystone.url, "appCredentialID": made["id"], "appCredentialSecret": made["secret"]}

    def change_password(self, word):
        self.keystone.admin("PATCH", f"/users/{self.user}", {"user": {"password": word}})
        self.word = word


class Cloud(Users):
    """What its object store is, in two regions, of which one is not there."""

    def __init__(self, keystone, swift):
        super().__init__(keystone)
        self.swift, admin = swift, keystone.admin
        admin("POST", "/regions", {"region": {"id": "elsewhere"}})
        service = admin("POST", "/services", {"service": {"type": "object-store", "name": "swift"}})["service"]["id"]
        for region, url in (("here", swift.url), ("elsewhere", "http://127.0.0.1:9")):
            admin("POST", "/endpoints", {"endpoint": {"service_id": service, "interface": "public", "region_id": region,
                                                      "url": f"{url}/v1/AUTH_%(project_id)s"}})
        self.storage = f"{swift.url}/v1/AUTH_{self.project}"

    def password(self, **more):
        return super().password(**{"regionName": "here", **more})

    def application(self):
        return {**super().application(), "regionName": "here"}

    def make(self, container):
        call("PUT", f"{self.storage}/{container}", token=self.token())

    def put(self, container, *names):
        token = self.token()
        call("PUT", f"{self.storage}/{container}", token=token)
        for name in names:
            call("PUT", f"{self.storage}/{container}/{name}", token=token)


@pytest.fixture(scope="module")
def cloud(place):
    with Keystone(place("keystone")) as keystone, Swift(place("swift"), keystone) as swift:
        yield Cloud(keystone, swift)
