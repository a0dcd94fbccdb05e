"""What envoy/prometheus holds, and what is wrong with it: each `wrong_*` yields one line a fault."""
import functools
import pathlib
import re
import subprocess
import textwrap
from collections.abc import Iterator

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "envoy/prometheus"
SEVERITIES = {"critical", "warning", "info"}
# Metrics of Envoy and of Prometheus itself that rules may name. tests/e2e/metrics_listener.rs asks both Envoys for theirs.
FOREIGN = {
    "up",
    "scrape_samples_post_metric_relabeling",
    "envoy_server_uptime",
    "envoy_wasm_vm_reload",
    "envoy_wasm_vm_reload_failure",
}
# Those that runbooks name besides.
LOOKED_AT = FOREIGN | {
    "envoy_server_main_thread_watchdog_miss",
    "envoy_server_memory_heap_size",
    "envoy_wasm_vm_reload_backoff",
}
# A name of a metric in PromQL. Label names, functions and strings have no such shape.
NAME = re.compile(r"\b(?:gateway[a-z_]*:[a-z0-9_:]+|(?:gateway|envoy|scrape)_[a-z0-9_]+|up)\b")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


@functools.cache
def tools() -> pathlib.Path:
    """The folder of promtool and its kin."""
    out = subprocess.run([ROOT / "scripts/get-prometheus"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(out.stdout.strip())


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def read(path: pathlib.Path) -> dict:
    return yaml.safe_load(path.read_text())


def rules(files: list[dict]) -> list[dict]:
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def catalogue() -> set[str]:
    """Every series of filters/metrics/METRICS.md: of histograms their parts, and those in whole microseconds too."""
    found = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) ", (ROOT / "filters/metrics/METRICS.md").read_text(), re.M):
        if kind != "histogram":
            found.add(name)
            continue
        for unit in {name, name.replace("_seconds", "_microseconds")}:
            found |= {f"{unit}_{part}" for part in ("bucket", "sum", "count")}
    return found


def names(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    return set(NAME.findall(STRING.sub('""', expression)))


def recorded(files: list[dict]) -> set[str]:
    return {rule["record"] for rule in rules(files) if "record" in rule}


def wrong_names(files: list[dict]) -> Iterator[str]:
    """Metrics that rules read and that nobody writes."""
    known = catalogue() | recorded(files) | FOREIGN
    for rule in rules(files):
        for name in sorted(names(rule["expr"]) - known):
            yield f"{rule.get('alert', rule.get('record'))} reads {name}, which nobody writes"


def wrong_alerts(files: list[dict], runbooks: pathlib.Path = HOME / "runbooks") -> Iterator[str]:
    """Alerts that do not say how bad it is, what is wrong or what to do."""
    alerts = [rule for rule in rules(files) if "alert" in rule]
    for rule in alerts:
        name, labels, notes = rule["alert"], rule.get("labels", {}), rule.get("annotations", {})
        if labels.get("severity") not in SEVERITIES:
            yield f"{name} has no severity of {sorted(SEVERITIES)}"
        if not labels.get("area"):
            yield f"{name} has no area"
        if not notes.get("summary"):
            yield f"{name} has no summary"
        if "$value" not in notes.get("description", ""):
            yield f"{name}: its description does not name the value"
        if not notes.get("runbook_url", "").endswith(f"envoy/prometheus/runbooks/{name}.md"):
            yield f"{name}: its runbook_url does not lead to its page"
        if not (runbooks / f"{name}.md").is_file():
            yield f"{name} has no page in {runbooks}"
    for page in sorted(runbooks.glob("*.md")):
        if page.stem not in {rule["alert"] for rule in alerts} | {"README"}:
            yield f"{page.name} is about no alert"


def expressions(page: str) -> list[str]:
    """What a page tells to ask Prometheus; an indented line goes on with the one before."""
    blocks = re.findall(r"^ *```promql\n(.*?)^ *```", page, re.M | re.S)
    return [found for block in blocks for found in re.split(r"\n(?! )", textwrap.dedent(block).strip())]


def wrong_pages(files: list[dict], runbooks: pathlib.Path = HOME / "runbooks") -> Iterator[str]:
    """Metrics that pages name and that nobody writes, and links that lead nowhere."""
    known = catalogue() | recorded(files) | LOOKED_AT
    for page in sorted(runbooks.glob("*.md")):
        text = page.read_text()
        # `gateway_x_*` and what is cut by an ellipsis name no metric.
        for name in sorted(set(re.findall(r"\b(?:gateway|envoy)[a-z_]*[:_][a-z0-9_:]*[a-z0-9](?![\w*])", text)) - known):
            yield f"{page.name} names {name}, which nobody writes"
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            if not (runbooks / link).is_file():
                yield f"{page.name} links to {link}, which is not there"
        if page.stem != "README" and [part for part in ("Means", "Look", "Do", "Escalate") if f"**{part}.**" not in text]:
            yield f"{page.name} lacks one of Means, Look, Do and Escalate"


def wrong_tests(files: list[dict], tests: list[dict]) -> Iterator[str]:
    """Alerts without a test that they fire, that they end, and that they stay silent right below."""
    for name in sorted({rule["alert"] for rule in rules(files) if "alert" in rule}):
        fires = ends = silent = False
        for test in (test for file in tests for test in file["tests"]):
            found = [bool(check.get("exp_alerts")) for check in test.get("alert_rule_test", []) if check["alertname"] == name]
            fires |= any(found)
            ends |= any(found) and not found[-1]
            silent |= bool(found) and not any(found)
        for held, what in ((fires, "fires"), (ends, "ends"), (silent, "stays silent right below")):
            if not held:
                yield f"no test shows that {name} {what}"
