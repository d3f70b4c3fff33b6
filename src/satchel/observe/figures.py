"""From instruments to figures that travel: a process's snapshot, and the snapshots of several processes as one list."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from satchel.observe.metrics import FACE, NODE, PROCESS

Snapshot = dict[str, list[tuple[str, dict[str, str], float]]]
"""For each family its samples: what stands behind the family's name (`_sum`), labels, value. JSON keeps the shape."""


@dataclass(frozen=True)
class Sample:
    """One number."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Family:
    """`type`: counter, gauge, histogram or summary."""

    name: str
    type: str
    help: str
    samples: list[Sample]


def snapshot(*registries: CollectorRegistry) -> Snapshot:
    """The figures of this process. Families in which nothing has been counted yet are left out, and what could not be measured (NaN)."""
    return {
        _name(metric): [(_suffix(metric, one.name), one.labels, one.value) for one in metric.samples if not math.isnan(one.value)]
        for registry in registries
        for metric in registry.collect()
        if metric.type == "gauge" or any(sample.value for sample in metric.samples)
    }


def merged(snapshots: Mapping[str, Mapping[str, Any]]) -> list[Family]:
    """Every known family over all instances. The label `node`, as On-Premises calls it, names the instance of each sample.

    A family that a newer version reports is skipped.
    """
    families = []
    for name, (type_, help_) in catalogue().items():
        samples = [sample for instance, figures in snapshots.items() for sample in _samples(name, instance, figures.get(name, ()))]
        if samples:
            families.append(Family(name, type_, help_, samples))
    return families


def catalogue() -> dict[str, tuple[str, str]]:
    """Type and help of every family."""
    return {_name(metric): (metric.type, metric.documentation) for registry in (FACE, PROCESS, NODE) for metric in registry.collect()}


def _samples(name: str, instance: str, given: Any) -> Iterator[Sample]:
    return (Sample(name + suffix, {"node": instance, **labels}, value) for suffix, labels, value in given)


def _name(metric: Metric) -> str:
    """Our counters end in `_total`; those of On-Premises do not."""
    return f"{metric.name}_total" if metric.type == "counter" and metric.name.startswith("satchel_") else metric.name


def _suffix(metric: Metric, sample: str) -> str:
    return "" if metric.type == "counter" else sample.removeprefix(metric.name)
