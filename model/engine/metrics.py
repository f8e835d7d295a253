"""What the engine counts, as Prometheus text: /metrics.

Source: the Prometheus exposition format, through prometheus-client with a registry of the app's own. Numbers only: no
label ever holds anything that came with a request (outcomes are the border's own reasons and error codes). Left out:
figures of the process and of Python, which say more about the machine than an operator of this engine needs.
"""

from collections.abc import Iterator
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from model.engine import api
from model.engine.runner import Runner

CONTENT_TYPE = CONTENT_TYPE_LATEST
Kind = Literal["complete", "next_edit", "rewrite", "fix", "mend"]

# With the bars of a keystroke (60 and 150 ms) as borders.
SECONDS = (0.01, 0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


def kind_of(request: api.DenoiseRequest | api.RepairRequest) -> Kind:
    """What a request is for."""
    if isinstance(request, api.RepairRequest):
        return "mend" if request.first_row is None else "fix"
    return request.purpose if request.prompt.instruction is None else "rewrite"


class Metrics:
    """Counters of one app. Called from the event loop's thread."""

    def __init__(self, runner: Runner) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "seedling_requests",
            "Requests by kind and end: a reason of the border, an error code, or left (nobody read the answer).",
            ["kind", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "seedling_request_seconds",
            "Time from a request's arrival to its last event.",
            ["kind"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._forwards = Counter("seedling_forwards", "Passes of the network.", registry=self._registry)
        self._tokens = Counter("seedling_delivered_tokens", "Tokens of answers.", registry=self._registry)
        self._registry.register(_RunnerFigures(runner))

    def count_done(self, done: api.Done) -> None:
        """What one alternative cost and gave."""
        self._forwards.inc(done.forwards)
        self._tokens.inc(done.num_tokens)

    def count_forwards(self, num: int) -> None:
        """Passes of a request that delivers no tokens."""
        self._forwards.inc(num)

    def count_end(self, kind: Kind, outcome: str, seconds: float) -> None:
        """The end of a request that was queued."""
        self._requests.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def count_refused(self, code: str) -> None:
        """A request that never was queued, so that it has no kind."""
        self._requests.labels("", code).inc()

    def text(self) -> bytes:
        """Everything, of the type CONTENT_TYPE."""
        return generate_latest(self._registry)


class _RunnerFigures(Collector):
    """Read when somebody asks; there is no prefix cache before the model is loaded."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("seedling_queue_length", "Requests that wait.", value=self._runner.num_waiting)
        cache = self._runner.prefix_cache
        if cache is None:
            return
        yield CounterMetricFamily("seedling_prompt_tokens", "Tokens of prompts.", value=cache.num_prompt_tokens)
        yield CounterMetricFamily(
            "seedling_prefix_cache_hit_tokens", "Tokens of prompts found in the cache.", value=cache.num_hit_tokens
        )
        yield CounterMetricFamily(
            "seedling_prefix_cache_evicted_tokens", "Tokens that left the cache.", value=cache.num_evicted_tokens
        )
        yield GaugeMetricFamily("seedling_prefix_cache_bytes", "Size of the cached rows.", value=cache.size_bytes)
