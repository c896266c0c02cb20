"""A stand-in for GitHub's API, as far as github-runner asks it: repositories, runs, jobs, tokens of an App, ETags. It is no GitHub: what it
checks is that we ask as GitHub's documentation says, the signature of an App's statement included.

    github.url; github.jobs = [["large"], ...]      labels of the queued jobs
    github.asked                                    paths of all requests
"""
import base64
import hashlib
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Listening(ThreadingHTTPServer):
    request_queue_size = 64


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class GitHub:
    app, installation = 5, 77

    def __init__(self, folder):
        self.folder, self.jobs, self.asked, self.unchanged = folder, [], [], 0
        self.key, public = folder / "app.pem", folder / "app.pub"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", self.key, "-pubout", "-out", public], check=True, capture_output=True)
        self.public, self.token = public, "ghs_0001"
        github = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def say(self, status, body, **headers):
                text = json.dumps(body).encode()
                tag = '"' + hashlib.sha256(text).hexdigest()[:16] + '"'
                if self.headers.get("If-None-Match") == tag:
                    github.unchanged += 1
                    status, text = 304, b""
                self.send_response(status)
                self.send_header("ETag", tag)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                github.asked.append(self.path)
                good = self.path == f"/app/installations/{github.installation}/access_tokens" and github.proves(
                    self.headers.get("Authorization", ""))
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
                self.say(201 if good else 401, {"token": github.token, "expires_at": at} if good else {"message": "Bad credentials"})

            def do_GET(self):
                github.asked.append(self.path)
                path, _, query = self.path.partition("?")
                if self.headers.get("Authorization") not in (f"token {github.token}", "Bearer personal"):
                    self.say(401, {"message": "Bad credentials"})
                elif path == "/orgs/acme/repos":
                    names = [f"r{n}" for n in range(31)]
                    first = 30 * (int(query.split("=")[1]) - 1)
                    self.say(200, [{"name": name} for name in names[first:first + 30]])
                elif path.endswith("/actions/runs"):
                    runs = [{"id": 1, "status": "queued", "repository": {"name": "r30"}}]
                    self.say(200, {"workflow_runs": runs if "/r30/" in path and "queued" in query else []})
                elif path == "/repos/acme/r30/actions/runs/1/jobs":
                    self.say(200, {"jobs": [{"status": "queued", "labels": labels} for labels in github.jobs]})
                else:
                    self.say(404, {"message": "Not Found"})

        self.server = Listening(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def proves(self, header):
        """The statement is signed with the App's key, names the App, and is of now."""
        head, claims, signature = header.removeprefix("Bearer ").split(".")
        (self.folder / "statement").write_text(f"{head}.{claims}")
        (self.folder / "signature").write_bytes(decoded(signature))
        verified = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public, "-signature", self.folder / "signature",
                                   self.folder / "statement"], capture_output=True, check=False).returncode == 0
        said, now = json.loads(decoded(claims)), time.time()
        return (verified and json.loads(decoded(head))["alg"] == "RS256" and said["iss"] == str(self.app)
                and said["iat"] <= now < said["exp"] <= said["iat"] + 600)


@pytest.fixture
def github(place):
    stub = GitHub(place("github"))
    yield stub
    stub.server.shutdown()
