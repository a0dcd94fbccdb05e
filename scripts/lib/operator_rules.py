"""The rules of Prometheus as the PrometheusRule that its operator for Kubernetes reads: envoy/prometheus/rules/*.yml, one behind
the other, indented.

It goes by lines, so that comments stay and nothing need be installed. All it relies on: the groups of a file are what stands
below its line `groups:`.
"""
import pathlib

HEAD = """\
# Rendered from envoy/prometheus/rules by scripts/render: do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: api-gateway, labels: {app: api-gateway}}
spec:
  groups:
"""


class NoGroups(Exception):
    """A file has no line `groups:`."""


def document(folder: pathlib.Path) -> str:
    """The PrometheusRule of all rule files in the folder, recording rules first, as people read them."""
    return HEAD + "".join(groups(path) for path in sorted(folder.glob("*.yml"), reverse=True))


def groups(path: pathlib.Path) -> str:
    """What stands below `groups:`, as deep as in the document."""
    lines = path.read_text().splitlines()
    if "groups:" not in lines:
        raise NoGroups(f"{path}: there is no line `groups:`")
    below = lines[lines.index("groups:") + 1 :]
    return "".join(f"  {line}".rstrip() + "\n" for line in below)
