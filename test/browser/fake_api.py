"""A fake of Weir's API (docs/openapi.yaml) with the real dashboard's files: for what a real Weir cannot be brought to say on purpose, such as names
full of markup, ten thousand objects in every state, a login, a stream that breaks off. What it says is made up; test_dashboard.py also asks a real one."""
import json
import math
import queue
import re
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

WEB = Path(__file__).resolve().parent.parent.parent / "web"
CHART = Path("/usr/share/javascript/chart.js/chart.min.js")
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
STATES = ["bad", "failed", "fallback", "held", "paused", "active", "idle"]
WEIGHT = {"bad": 90, "failed": 80, "fallback": 60, "held": 40}
SUMMARY = {
    "bad": "", "failed": "held at 6: rate failed (4 in a row): nothing is taken away", "fallback": "2 -> 5: the fallback of rate asks for 5",
    "held": "6: 6 was wished for within the last 5 min, so nothing is taken away before 2026-11-26T12:04:30Z", "paused": "3: the object is paused: nothing is changed",
    "active": "2 -> 3: formula at 2.5 against a target of 1 asks for 3", "idle": "0: no trigger is active",
}
FORMULA = "queue > 50 ? max(rate / 10, queue / 20) : rate / 10"
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>&amp;\"'"


def instant(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def state_of(i):
    return "active" if i % 3 else STATES[(i // 3) % 7] if i % 60 == 0 else ("idle" if i % 6 else "active")


def row(i, name=None):
    state = state_of(i)
    wanted = 0 if state == "idle" else 1 + i % 9
    return {"kind": "ScaledJob" if i % 97 == 5 else "ScaledObject", "namespace": f"team-{i % 40:02d}", "name": name or f"service-{i:05d}", "file": None, "ready": "True", "readyReason": "ScaledObjectReady",
            "problem": "maxReplicaCount: 2 is less than minReplicaCount 3" if state == "bad" else None, "state": state, "attention": WEIGHT.get(state, 0),
            "triggerTypes": [["prometheus"], ["redis", "cron"], ["kafka"], ["prometheus", "cpu"]][i % 4], "mode": "direct", "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
            "minReplicas": 0, "maxReplicas": 10, "specReplicas": wanted, "statusReplicas": wanted, "readyReplicas": max(0, wanted - (i % 13 == 0)), "wantedReplicas": wanted, "active": state != "idle",
            "fallback": state == "fallback", "paused": state == "paused", "held": state == "held", "reason": "steady", "summary": SUMMARY[state], "changedAt": instant(time.time() - i % 5000), "running": 3, "pending": 1}


def step(kind, before, after, text):
    return {"step": kind, "cause": "", "before": before, "after": after, "measured": 0, "limit": 0, "text": text}


def decision(at, before=2, after=3, reason="above-target", summary=SUMMARY["active"], queue_=60, rate=25):
    # "queue > 50 ? max(rate / 10, queue / 20) : rate / 10": bytes and values of its parts
    trace = [(0, 5, 2, queue_), (0, 10, 1, queue_ > 50), (17, 21, 3, rate), (17, 26, 2, rate / 10), (28, 33, 3, queue_), (28, 38, 2, queue_ / 20), (13, 39, 1, max(rate / 10, queue_ / 20)), (0, 51, 0, max(rate / 10, queue_ / 20))]
    return {"at": instant(at), "before": before, "after": after, "write": before != after, "reason": reason, "summary": summary, "active": True, "held": False, "fallback": False, "paused": False, "error": False,
            "wished": after, "ready": before, "next": instant(at + 280), "formula": {"text": FORMULA, "state": "ok", "value": max(rate / 10, queue_ / 20)},
            "inputs": [{"name": n, "state": "ok", "value": v, "age_s": 3.2, "active": True, "held": False, "fallback": False, "stand_in": False, "failures": 0, "proposal": None} for n, v in (("rate", rate), ("queue", queue_))],
            "steps": [step("current", before, before, f"running now: {before}"), step("proposed", before, after, f"formula at 3 against a target of 1 asks for {after}"), step("at-max", after, after, "the maximum is 10")],
            "trace": [{"text": "", "begin": b, "end": e, "depth": d, "value": v} for b, e, d, v in trace]}


def trigger(name, kind, value, target, **more):
    return {"name": name, "type": kind, "metricName": f"s0-{kind}", "source": "http://prometheus.monitoring:9090", "state": "ok", "value": value, "ageSeconds": 3.2, "target": target, "activation": 0, "tookMs": 12, "failures": 0, "sharedWith": 3,
            "credentials": [{"kind": "TriggerAuthentication", "name": "prometheus-token", "ageSeconds": 7260}], **more}


def history(since_s, until, points):
    span = since_s / points
    times = [int(until - since_s + span * i) for i in range(points)]
    load = [34 + 25 * math.sin(i / points * 9) + 3 * math.sin(i / 3) for i in range(points)]
    wanted = [max(1, round(v / 10)) for v in load]
    gap = lambda i: .7 * points < i < .74 * points  # noqa: E731
    events = [{"at": instant(times[i]), "from": wanted[i - 1], "to": wanted[i], "reason": "above-target" if wanted[i] > wanted[i - 1] else "below-target",
               "summary": f"{wanted[i - 1]} -> {wanted[i]}: formula at {load[i] / 10:.2f} against a target of 1 asks for {wanted[i]}"} for i in range(1, points) if wanted[i] != wanted[i - 1]]
    return {"spanSeconds": span, "times": times, "wanted": [[w, w, w] for w in wanted], "ready": [[min(a, b)] * 3 for a, b in zip(wanted, [wanted[0], *wanted])], "slo": [.99 if i % 50 else .9 for i in range(points)],
            "triggers": [
                {"name": "rate", "target": 10, "values": [[None] * 3 if gap(i) else [v - 3, v, v + 4] for i, v in enumerate(load)], "missing": [0] * points, "failed": [1 if gap(i) else 0 for i in range(points)]},
                {"name": "queue", "values": [[v * 1.6] * 3 if i % 90 > 8 else [None] * 3 for i, v in enumerate(load)], "missing": [0 if i % 90 > 8 else .8 for i in range(points)], "failed": [0] * points}],
            "events": events[-500:]}


class FakeApi:
    """count objects, made up; token: without it, 401. hostile: names and words with markup in them."""

    def __init__(self, count=60, token=None, hostile=False, can_act=True, charts=True, port=0):
        self.rows = [row(i) for i in range(count)]
        self.token, self.hostile, self.can_act, self.charts = token, hostile, can_act, charts
        self.streams, self.asked, self.posted, self.refuse_streams = [], [], [], False
        if hostile and count:
            self.rows[0].update(problem=MARKUP, state="bad", attention=95)
            self.rows[1].update(summary=MARKUP, triggerTypes=[MARKUP])
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                api.get(self)

            def do_POST(self):
                api.post(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.drop_streams()
        self.server.shutdown()
        self.server.server_close()

    # ---- live
    def emit(self, event, data):
        for q in list(self.streams):
            q.put(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    def drop_streams(self):
        for q in list(self.streams):
            q.put(None)

    def stream(self, h):
        q = queue.Queue()
        h.send_response(200)
        h.send_header("Content-Type", "text/event-stream")
        h.send_header("Connection", "close")
        h.end_headers()
        self.streams.append(q)
        try:
            h.wfile.write(f"event: hello\ndata: {json.dumps(self.session())}\n\n".encode())
            while (data := q.get()) is not None:
                h.wfile.write(data)
        except OSError:
            pass
        self.streams.remove(q)
        h.close_connection = True

    # ---- answers
    def send(self, h, status, body, kind="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        h.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", **headers}.items():
            h.send_header(name.replace("_", "-"), value)
        h.end_headers()
        if h.command != "HEAD":
            h.wfile.write(body)

    def asset(self, h, name):
        path = CHART if name == "chart.js" and self.charts else WEB / name
        if "/" in name or not path.is_file():
            return self.send(h, 404, b"no such file", "text/plain")
        return self.send(h, 200, path.read_bytes(), TYPES[path.suffix], Cache_Control="no-cache")

    def session(self):
        return {"version": "0.1.0", "user": "alice" if self.token else "", "canAct": self.can_act, "platform": "kubernetes", "startedAt": instant(time.time() - 9000)}

    def overview(self):
        count = lambda key: [{"name": n, "objects": sum(key(r, n) for r in self.rows)} for n in sorted({x for r in self.rows for x in ([r["namespace"]] if key is of_namespace else r["triggerTypes"])})]  # noqa: E731
        of_namespace = lambda r, n: r["namespace"] == n  # noqa: E731
        of_type = lambda r, n: n in r["triggerTypes"]  # noqa: E731
        sources = [{"source": f"http://prometheus-{i}.monitoring:9090", "type": "prometheus", "objects": 40 - i, "failing": 30 - i, "tookMs": 900 / (i + 1), "why": MARKUP if self.hostile else "connection refused; is it running, and is the address right?"} for i in range(6)]
        return {"objects": len(self.rows), "states": {s: n for s in STATES if (n := sum(r["state"] == s for r in self.rows))}, "namespaces": count(of_namespace), "triggerTypes": count(of_type),
                "replicas": sum(r["readyReplicas"] for r in self.rows), "failingSources": sources[:3], "slowestSources": sources, "slo": {"objects": 12, "held": .9934}, "cost": {"objects": 12, "replicaHours": 812.25, "cost": 97.47}}

    def listed(self, q):
        found = [r for r in self.rows if q.get("namespace", r["namespace"]) == r["namespace"] and q.get("kind", r["kind"]) == r["kind"] and q.get("type", r["triggerTypes"][0]) in r["triggerTypes"]
                 and q.get("q", "").lower() in f'{r["namespace"]}/{r["name"]}'.lower() and (q.get("state", r["state"]) == r["state"] or (q.get("state") == "attention" and r["attention"]))]
        keys = {"name": lambda r: (r["namespace"], r["name"]), "replicas": lambda r: -r["readyReplicas"], "changed": lambda r: r["changedAt"]}
        found.sort(key=keys.get(q.get("sort"), lambda r: (-r["attention"], r["namespace"], r["name"])))
        offset, limit = int(q.get("offset", 0)), int(q.get("limit", 100))
        return {"objects": found[offset:offset + limit], "total": len(self.rows), "matched": len(found)}

    def object(self, r):
        triggers = [trigger("rate", "prometheus", 25, 10), trigger("queue", "redis", 60, 20, source="redis.shop:6379", sharedWith=0, credentials=[])]
        if r["state"] == "failed":
            triggers[0].update(state="failed", why="the server answered with 503 Service Unavailable", failures=4)
        if self.hostile:
            triggers[0].update(name=MARKUP, why=MARKUP, state="missing", source=MARKUP)
        now = time.time()
        return {**r, "createdAt": instant(now - 86400), "lastActiveAt": instant(now - 40), "nextPollInSeconds": 12, "cooldownSeconds": 300, "cooldownEndsAt": instant(now + 200) if r["state"] == "idle" else None, "holdEndsAt": instant(now + 900) if r["state"] == "held" else None,
                "polls": 400, "decisions": 400, "formula": FORMULA, "formulaTarget": 1, "triggers": triggers, "jobs": [],
                "replicas": [{"name": f"x-{i}", "ready": i > 0, "terminating": False, "address": f"10.0.0.{i}:8080", "startedAt": instant(now - 500 * i), "restarts": 0} for i in range(r["readyReplicas"])],
                "decision": decision(now - 5, summary=r["summary"] or SUMMARY["active"])}

    def of_object(self, h, r, rest, q):
        now = time.time()
        if rest == "":
            return self.send(h, 200, self.object(r))
        if rest == "history":
            since = {"15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "168h": 604800, "720h": 2592000}[q["since"]]
            return self.send(h, 200, history(since, now, int(q["points"])))
        if rest == "decisions":
            return self.send(h, 200, {"decisions": [{"at": instant(now - 60 * i * i - 5), "decision": decision(now - 60 * i * i - 5, 2 + i % 3, 3 - i % 2), "notes": [None, None]} for i in range(12)]})
        if rest == "outlook":
            return self.send(h, 200, {"now": 3, "at": instant(now + 280), "then": 2, "triggers": [], "sentences": ["rate above 30.1 would make it 4", "queue above 80 would make it 5", "queue below 40 would make it 2", f"at {instant(now + 280)} it is 2, if nothing changes"]})
        if rest == "manifests":
            text = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: checkout\nspec:\n  scaleTargetRef:\n    name: checkout\n  maxReplicaCount: {}\n  triggers:\n  - type: prometheus\n    name: rate\n    metadata:\n      query: sum(rate(requests[1m]))\n"
            return self.send(h, 200, {"manifests": [{"at": instant(now - 4000), "yaml": text.format(10), "changes": ["spec.maxReplicaCount: 8 → 10"]}, {"at": instant(now - 90000), "yaml": text.format(8), "changes": []}]})
        return self.send(h, 404, {"error": "no such route"})

    def get(self, h):
        url = urlsplit(h.path)
        path, q = url.path, dict(parse_qsl(url.query))
        self.asked.append(h.path)
        if path == "/":
            return self.asset(h, "dashboard.html")
        if path.startswith("/assets/"):
            return self.asset(h, path[len("/assets/"):])
        if self.token and f"weir={self.token}" not in h.headers.get("Cookie", ""):
            return self.send(h, 401, {"error": "who is asking? Log in with a token"})
        if path == "/api/v1/stream":
            return self.send(h, 503, {"error": "there are too many streams"}) if self.refuse_streams else self.stream(h)
        found = re.fullmatch(r"/api/v1/objects/([^/]+)/([^/]+)(?:/(\w+))?", path)
        if found:
            ns, name = unquote(found[1]), unquote(found[2])
            of = [r for r in self.rows if (r["namespace"], r["name"]) == (ns, name)]
            return self.of_object(h, of[0], found[3] or "", q) if of else self.send(h, 404, {"error": "there is no such object; GET /api/v1/objects lists them"})
        answers = {"/api/v1/objects": lambda: self.listed(q), "/api/v1/overview": self.overview, "/api/v1/session": self.session, "/api/v1/version": lambda: {"version": "0.1.0"},
                   "/api/v1/findings": lambda: [{"severity": "warning", "code": "threshold-ignored", "file": "shop.yaml", "line": 12, "text": MARKUP if self.hostile else "the threshold of rate does not count: the formula decides", "remedy": "take it out"}]}
        if path in answers:
            return self.send(h, 200, answers[path]())
        return self.send(h, 404, {"error": "no such route"})

    def post(self, h):
        body = json.loads(h.rfile.read(int(h.headers.get("Content-Length", 0))) or b"{}")
        self.posted.append((h.path, body))
        if h.path == "/login":
            if body.get("token") != self.token:
                return self.send(h, 401, {"error": "this token is not known"})
            return self.send(h, 200, {"user": "alice"}, Set_Cookie=f"weir={self.token}; HttpOnly; SameSite=Strict; Path=/")
        if h.path == "/logout":
            return self.send(h, 204, b"", Set_Cookie="weir=; Max-Age=0; Path=/")
        if "/what-if" in h.path:
            rate = body.get("values", {}).get("rate", 25)
            after = math.ceil((rate if isinstance(rate, (int, float)) else 0) / 10)
            return self.send(h, 200, {"decision": decision(time.time(), 3, after, summary=f"3 -> {after}: formula at {after} against a target of 1 asks for {after}")})
        return self.send(h, 200, {"done": True})


if __name__ == "__main__":
    import sys
    fake = FakeApi(int(sys.argv[1]) if len(sys.argv) > 1 else 60, port=int(sys.argv[2]) if len(sys.argv) > 2 else 8642)
    print(fake.url, flush=True)
    threading.Event().wait()
