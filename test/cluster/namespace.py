"""One namespace of a test, and the few things tests do in it again and again."""
import json
from pathlib import Path

from api import path_of
from support.waiting import wait_for


class Namespace:
    """namespace.get("deployments", "web") and the like; resources by the names of api.GROUPS."""

    def __init__(self, plane, name):
        self.plane, self.name, self.api = plane, name, plane.api
        self.api.post(path_of("namespaces"), {"metadata": {"name": name}})

    def path(self, resource, name=None, subresource=None):
        return path_of(resource, self.name, name, subresource)

    def kubectl(self, *arguments, **options):
        return self.plane.kubectl("-n", self.name, *arguments, **options)

    def apply(self, manifests):
        """YAML text, or the path of a file or folder, as a person would apply it."""
        if isinstance(manifests, Path):
            return self.kubectl("apply", "-f", manifests)
        return self.kubectl("apply", "-f", "-", stdin=manifests)

    def create(self, resource, body):
        return self.api.post(self.path(resource), body)

    def get(self, resource, name):
        """The object; None where there is none."""
        return self.api.find(self.path(resource, name))

    def list(self, resource, **query):
        return self.api.get(self.path(resource), **query)["items"]

    def patch(self, resource, name, body, subresource=None, kind="merge"):
        return self.api.patch(self.path(resource, name, subresource), body, kind)

    def delete(self, resource, name):
        return self.api.delete(self.path(resource, name))

    def annotate(self, resource, name, **annotations):
        """annotate("scaledobjects", "web", **{"autoscaling.keda.sh/paused": "true"}); None takes one away."""
        return self.patch(resource, name, {"metadata": {"annotations": annotations}})

    def scale(self, name, replicas, resource="deployments"):
        return self.patch(resource, name, {"spec": {"replicas": replicas}}, "scale")

    def replicas(self, name, resource="deployments"):
        """What is asked for; None where there is no such object."""
        found = self.get(resource, name)
        return found and found["spec"].get("replicas")

    def ready(self, name, resource="deployments"):
        found = self.get(resource, name)
        return (found or {}).get("status", {}).get("readyReplicas", 0)

    def wait_ready(self, count, name, resource="deployments", limit_s=30):
        """Asked for and ready are both count."""
        try:
            wait_for(lambda: self.replicas(name, resource) == count and self.ready(name, resource) == count, limit_s)
        except AssertionError as err:
            raise AssertionError(f"{resource} {name}: not {count} replicas but {self.replicas(name, resource)} asked for and "
                                 f"{self.ready(name, resource)} ready\n{self.events(name)}") from err

    def condition(self, resource, name, kind):
        """(status, reason, message) of a condition; None while it is not there."""
        conditions = (self.get(resource, name) or {}).get("status", {}).get("conditions", [])
        found = next((c for c in conditions if c["type"] == kind), None)
        return found and (found["status"], found.get("reason", ""), found.get("message", ""))

    def events(self, name):
        """(type, reason, message) of the events about the objects of that name."""
        return [(e.get("type"), e.get("reason"), e.get("message", e.get("note"))) for e in self.list("events")
                if e["involvedObject"]["name"] == name]

    def use(self, name, resource="deployments", **usage):
        """What each Pod uses from now on, those to come too: use("web", cpu="250m"); what the Pod template says itself wins."""
        self.annotate(resource, name, **{f"test.weir.dev/{key}": value for key, value in usage.items()})

    def owned(self, resource, owner):
        return [o["metadata"]["name"] for o in self.list(resource)
                if any(r["name"] == owner for r in o["metadata"].get("ownerReferences", []))]

    def gone(self):
        """Asks for its deletion; that goes on while other tests run."""
        self.api.delete(path_of("namespaces", name=self.name))

    def dump(self):
        """For a failure: what is there."""
        shown = self.kubectl("get", "deployments,statefulsets,pods,jobs,hpa,scaledobjects,scaledjobs,events", "-o", "wide", check=False)
        return shown.stdout or shown.stderr


def deployment(name, replicas=1, annotations=None, **container):
    """A Deployment whose Pods run nothing (see plane/fake)."""
    return {"metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}, "annotations": annotations or {}},
                                  "spec": {"containers": [{"name": "main", "image": "example", **container}]}}}}


def manifest_of(*objects):
    """Objects as text for apply: JSON is YAML."""
    return "\n---\n".join(map(json.dumps, objects))
