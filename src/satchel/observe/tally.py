"""Counts and sums of what happens at every request: an addition each, where the library's instruments take locks and build objects.

For one thread (the event loop); a scrape from there sees whole numbers.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric, SummaryMetricFamily
from prometheus_client.registry import Collector


class Cell:
    """How often, and how much in all."""

    __slots__ = ("count", "sum")

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0

    def add(self, amount: float) -> None:
        """Count one, of this amount."""
        self.count += 1
        self.sum += amount


class Tally(Collector):
    """A summary with labels."""

    def __init__(self, name: str, help_: str, labels: list[str], registry: CollectorRegistry) -> None:
        self._name, self._help, self._labels = name, help_, labels
        self.cells: dict[tuple[str, ...], Cell] = {}
        registry.register(self)

    def cell(self, *values: str) -> Cell:
        """The one that counts for these labels, to be kept by whoever counts often."""
        return self.cells.setdefault(values, Cell())

    def collect(self) -> Iterator[Metric]:
        family = SummaryMetricFamily(self._name, self._help, labels=self._labels)
        for values, cell in self.cells.items():
            family.add_metric(values, cell.count, cell.sum)
        yield family
