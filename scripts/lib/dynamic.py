"""Splits an envoy.yaml of Tollgate's form into a bootstrap and the files that Envoy reads again whenever one in their folder
is replaced: each of our filters (ECDS), the routes (RDS) and the pools (CDS).

It goes by lines and their indentation and knows no YAML, so that comments stay and nothing need be installed. All it
relies on: what it takes out begins with `- name: NAME` or `KEY:` on a line of its own.
"""
import json
import pathlib
import re
import textwrap

TYPE = "type.googleapis.com/envoy."
FILTER_TYPE = TYPE + "config.core.v3.TypedExtensionConfig"
ROUTES_TYPE = TYPE + "config.route.v3.RouteConfiguration"
CLUSTER_TYPE = TYPE + "config.cluster.v3.Cluster"
WASM_TYPE = TYPE + "extensions.filters.http.wasm.v3.Wasm"
FILTER = re.compile(r"^\s*- name: tollgate\.(\w+)$")
POOL = re.compile(r"^\s*- name: pool_\w+$")
ROUTES = re.compile(r"^\s*route_config:$")
ANCHOR = re.compile(r"^(\s*)value: &(\w+) \|$")
ALIAS = re.compile(r"^(\s*)value: \*(\w+)$")
# A pool in the file of pools, a route in that of routes, and what either is known by.
CLUSTER_HEAD = re.compile(rf'^- "@type": {re.escape(CLUSTER_TYPE)}$')
ROUTE_HEAD = re.compile(r"^\s+- name: models$")
PART_NAME = re.compile(r"\b(pool_\w+)")
# Marks of scripts/render, which mean nothing in a copy.
MARK = re.compile(r"^\s*# (begin|end) \w+(: rendered from .*)?$|^\s*# rendered from ")
BOOTSTRAP, ROUTES_FILE, CLUSTERS_FILE = "envoy.yaml", "routes.yaml", "clusters.yaml"


class NotOurs(Exception):
    """The file lacks what is to be taken out."""


def split(text: str, folder: str) -> dict[str, str]:
    """Texts by file name: the bootstrap, and those that will lie in `folder`, where Envoy looks for them."""
    lines = without_anchors([line for line in text.splitlines() if not MARK.match(line)])
    filters: dict[str, list[str]] = {}
    routes: list[str] = []
    pools: list[str] = []
    lines = replaced(lines, FILTER, lambda block: discovered(block, filters, folder))
    lines = replaced(lines, ROUTES, lambda block: referred(block, routes, folder), times=1)
    lines = replaced(lines, POOL, lambda block: pools.extend(flush(block)) or [])
    at = next((at for at, line in enumerate(lines) if line == "static_resources:"), None)
    if at is None or not (filters and routes and pools):
        raise NotOurs("no `static_resources:`, or under it no filter `tollgate.…`, no `route_config:` or no cluster `pool_…`")
    lines[at:at] = ["dynamic_resources:", f"  cds_config: {source(folder, CLUSTERS_FILE)}", ""]
    files = {BOOTSTRAP: lines, ROUTES_FILE: resources(routes, ROUTES_TYPE), CLUSTERS_FILE: resources(pools, CLUSTER_TYPE)}
    files |= {f"{name}.yaml": resources(block, FILTER_TYPE) for name, block in filters.items()}
    return {name: "\n".join(lines) + "\n" for name, lines in files.items()}


def source(folder: str, name: str) -> str:
    # Kubernetes swaps a link to the folder's content and moves no file, so the folder is watched and not the file.
    return f"{{resource_api_version: V3, path_config_source: {{path: {folder}/{name}, watched_directory: {{path: {folder}}}}}}}"


def discovered(block: list[str], filters: dict[str, list[str]], folder: str) -> list[str]:
    name = FILTER.match(block[0])[1]
    # `adapt` stands in every pool, the same each time.
    filters[name] = flush(block)
    pad = " " * indent_of(block[0])
    return [
        f"{pad}- name: tollgate.{name}",
        f"{pad}  config_discovery:",
        f"{pad}    config_source: {source(folder, f'{name}.yaml')}",
        f"{pad}    type_urls: [{WASM_TYPE}]",
    ]


def referred(block: list[str], routes: list[str], folder: str) -> list[str]:
    inside = flush(block[1:])
    routes += [f"- {inside[0]}", *(f"  {line}".rstrip() for line in inside[1:])]
    name = inside[0].removeprefix("name: ")
    return [" " * indent_of(block[0]) + f"rds: {{route_config_name: {name}, config_source: {source(folder, ROUTES_FILE)}}}"]


def resources(items: list[str], kind: str) -> list[str]:
    """The file of a list, each item with its type."""
    out = ["resources:"]
    for line in items:
        out += [f'- "@type": {kind}', f"  {line[2:]}"] if line.startswith("- ") else [line]
    return out


def replaced(lines: list[str], head: re.Pattern, make, times: int = -1) -> list[str]:
    """The lines with each block under a line that matches `head` replaced by what `make` gives for it."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        end = at + 1
        if times == 0 or not head.match(lines[at]):
            out.append(lines[at])
        else:
            end = end_of(lines, at, indent_of(lines[at]))
            out += make(lines[at:end])
            times -= 1
        at = end
    return out


def end_of(lines: list[str], at: int, indent: int) -> int:
    """Where the block that line `at` begins is over."""
    ends = (later for later in range(at + 1, len(lines)) if lines[later].strip() and indent_of(lines[later]) <= indent)
    return next(ends, len(lines))


def without_anchors(lines: list[str]) -> list[str]:
    """A text that stands once and is named elsewhere, written out each time: files know none of one another's names."""
    texts = {anchor[2]: flush(lines[at + 1:end_of(lines, at, len(anchor[1]))]) for at, line in enumerate(lines) if (anchor := ANCHOR.match(line))}
    out: list[str] = []
    for line in lines:
        if anchor := ANCHOR.match(line):
            out.append(f"{anchor[1]}value: |")
        elif alias := ALIAS.match(line):
            out += [f"{alias[1]}value: |", *(f"{alias[1]}  {text}".rstrip() for text in texts[alias[2]])]
        else:
            out.append(line)
    return out


def union(old: str, new: str) -> str:
    """The file of routes or pools `new`, and what only `old` has: whoever goes by either finds its pool."""
    kept, wanted = parts(old), parts(new)
    gone = [part for name, part in kept.items() if name not in wanted]
    if not gone:
        return new
    lines = new.splitlines()
    # In front, since the last route takes what no pool's route did.
    at = min(at for at, line in enumerate(lines) if line in {part[0] for part in wanted.values()})
    return "\n".join([*lines[:at], *(line for part in gone for line in part), *lines[at:]]) + "\n"


def union_of_providers(old: str, new: str) -> str:
    """The file of `adapt` that knows the providers of both."""
    (head, config), (_, before) = configuration(new), configuration(old)
    gone = {name: provider for name, provider in before.get("providers", {}).items() if name not in config.get("providers", {})}
    if not gone:
        return new
    text = json.dumps(config | {"providers": config["providers"] | gone}, indent=2)
    return head + textwrap.indent(text, " " * (indent_of(head.splitlines()[-1]) + 2)) + "\n"


def configuration(text: str) -> tuple[str, dict]:
    """What stands before the configuration of a filter's file, and the configuration, which is the last of it."""
    at = re.search(r"^\s+value: \|-?\n", text, re.MULTILINE)
    if not at:
        raise NotOurs("a filter's configuration is no block of JSON behind `value: |`")
    return text[:at.end()], json.loads(text[at.end():])


def names(clusters: str) -> set[str]:
    """What the clusters of a file are called."""
    return set(parts(clusters))


def parts(text: str) -> dict[str, list[str]]:
    """The clusters of a file by name, or its routes by the pool that they lead to."""
    lines, found = text.splitlines(), {}
    for at, line in enumerate(lines):
        if CLUSTER_HEAD.match(line) or ROUTE_HEAD.match(line):
            block = lines[at:end_of(lines, at, indent_of(line))]
            name = next((named[1] for inside in block if (named := PART_NAME.search(inside))), None)
            if name:
                found[name] = block
    return found


def flush(block: list[str]) -> list[str]:
    """Without the indentation that all lines share."""
    least = min((indent_of(line) for line in block if line.strip()), default=0)
    return [line[least:] for line in block]


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def write(files: dict[str, str], folder: pathlib.Path) -> None:
    """The bootstrap into the folder, the others into `dynamic` in it."""
    (folder / "dynamic").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name if name == BOOTSTRAP else folder / "dynamic" / name).write_text(text)
