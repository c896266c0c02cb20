"""A stream of labelled events whose meaning turns slowly: what the model learned yesterday is a little wrong today.

An event is eight numbers and a label, 0 or 1: on which side of a plane the point lies. The plane turns by DEGREES_PER_S, and one
label in twenty is wrong. With the same seed and clock the stream is the same for everybody.
"""
import math
import random

FEATURES = 8
DEGREES_PER_S = 0.5
WRONG_LABELS = 0.05


def plane_at(seconds):
    """The weights of the true plane: it turns in its first two coordinates; the others matter less."""
    angle = math.radians(DEGREES_PER_S * seconds)
    return [math.cos(angle), math.sin(angle)] + [0.1] * (FEATURES - 2)


def side(weights, event):
    return sum(w * x for w, x in zip(weights, event))


def draw(rng, seconds, count):
    """`count` events as they come at this time: [x1, ..., x8, label]."""
    plane = plane_at(seconds)
    events = []
    for _ in range(count):
        event = [rng.gauss(0, 1) for _ in range(FEATURES)]
        label = int(side(plane, event) > 0)
        if rng.random() < WRONG_LABELS:
            label = 1 - label
        events.append(event + [label])
    return events


def error_of(weights, events):
    """The share of events the model gets wrong; weights: one per feature, then the bias."""
    wrong = sum((side(weights, e) + weights[-1] > 0) != bool(e[-1]) for e in events)
    return wrong / len(events) if events else 0.0
