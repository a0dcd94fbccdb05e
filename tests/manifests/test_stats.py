"""Labels and buckets of the metrics: Envoy is told the same in envoy/envoy.yaml and, by istio/README.md, in Istio.

What the labels are, filters/shared/core/src/metric.rs says.
"""
import json
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "istio/README.md").read_text()
STATS = yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())["stats_config"]
SECONDS = ["request_duration", "time_to_first_token", "time_per_output_token"]
# What Envoy itself puts before names is cut out by tags of its own.
NOT_OURS = {"of_cluster", "plugin"}


def labels() -> set[str]:
    source = (ROOT / "filters/shared/core/src/metric.rs").read_text()
    return set(re.findall(r'"(\w+)"', re.search(r"LABELS: &\[&str\] = &\[(.*?)\];", source, re.DOTALL)[1]))


def edges(name: str) -> list[float]:
    (found,) = [entry["buckets"] for entry in STATS["histogram_bucket_settings"] if entry["match"]["contains"] == f"gateway_{name}"]
    return found


def test_every_label_is_cut_out_of_the_names():
    tags = {tag["tag_name"]: tag["regex"] for tag in STATS["stats_tags"] if tag["tag_name"] not in NOT_OURS}
    assert tags == {label: rf"({label}=\.=(.*?);\.;)" for label in labels()}
    assert set(re.search(r"extraStatTags: \[(.*)\]", README)[1].split(", ")) == labels()


@pytest.mark.parametrize("name", SECONDS)
def test_both_ways_into_histograms_have_the_same_edges(name):
    assert edges(f"{name}_microseconds") == [round(edge * 1e6) for edge in edges(f"{name}_seconds")]


def test_the_readme_of_istio_gives_the_same_edges():
    told = json.loads(re.search(r"statsHistogramBuckets: '(.*)'", README)[1])
    tokens = {edge for name in SECONDS[1:] for edge in edges(f"{name}_microseconds")}
    assert told == {
        "wasmcustom.route=": edges("request_duration_microseconds"),
        "wasmcustom.model=": sorted(tokens),
        "wasmcustom.filter=": edges("filter_duration_microseconds"),
    }


def test_the_file_for_an_older_envoy_lacks_the_loggers_and_nothing_else():
    printed = subprocess.run([ROOT / "scripts/render", "--for-1.36"], capture_output=True, check=True, text=True).stdout
    older, newer = yaml.safe_load(printed), yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())
    manager = lambda root: root["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    loggers = manager(newer)["access_log"]
    gone = [entry for entry in loggers if entry not in manager(older)["access_log"]]
    assert {entry["name"] for entry in gone} == {"envoy.access_loggers.stats"} and len(gone) == len(SECONDS)
    manager(newer)["access_log"] = [entry for entry in loggers if entry not in gone]
    configuration = lambda root: manager(root)["http_filters"][2]["typed_config"]["config"]["configuration"]
    metrics = configuration(newer)
    assert json.loads(metrics["value"])["histograms"] == "access_log"
    metrics["value"] = metrics["value"].replace("access_log", "microseconds")
    assert older == newer


def test_each_logger_is_asked_only_where_its_value_is():
    loggers = [
        entry for entry in yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())["static_resources"]["listeners"][0]
        ["filter_chains"][0]["filters"][0]["typed_config"]["access_log"] if entry["name"] == "envoy.access_loggers.stats"]
    for logger in loggers:
        (histogram,) = logger["typed_config"]["histograms"]
        (value,) = re.findall(r"^%FILTER_STATE\((.*):PLAIN\)%$", histogram["value_format"])
        assert logger["filter"]["extension_filter"]["typed_config"]["expression"] == f"'{value}' in filter_state"
        assert edges(histogram["stat"]["name"].removeprefix("gateway_"))
