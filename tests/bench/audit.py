"""Envoy's counters around a load: figures count only if the calls did what the variant is about.

A bench of refusals, or of a filter that looks away, would be worthless.
"""
import re
import sys

from machine import Envoy

# Of every Envoy here: answers of the provider with a status of 2xx, retries included.
ANSWERED = 'envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="pool_default"}'


def counters(envoy: Envoy) -> dict[str, float]:
    """Prometheus series by name and labels, without the label of the listener."""
    found = {}
    for line in envoy.page("/stats/prometheus").splitlines():
        if not line.startswith("#") and " " in line:
            series, _, value = line.rpartition(" ")
            series = re.sub(r'envoy_http_conn_manager_prefix="[^"]*",?', "", series).replace("{}", "")
            found[series] = float(value)
    return found


class Auditor:
    """Compares counters before and after a load."""

    def __init__(self, envoy: Envoy):
        self.envoy, self.before = envoy, counters(envoy)

    def grown(self) -> dict[str, float]:
        return {name: value - self.before.get(name, 0) for name, value in counters(self.envoy).items()}


def expect(what: object, grown: dict[str, float], name: str, due: int, slack: int, words: tuple[str, ...]) -> None:
    """Ends the bench if a counter did not grow as due; `words` pick the counters that the error shows."""
    if abs(grown.get(name, 0) - due) > slack:
        series = "\n".join(f"  {name} {value:.0f}" for name, value in grown.items() if value and any(word in name for word in words))
        sys.exit(f"error: {what}: {name} grew by {grown.get(name, 0):.0f}, expected {due}; what grew:\n{series}")
