"""Reads envoy/config/providers.json for rendering.

    python3 scripts/lib/providers.py FILE --filters DIR --secrets DIR [--ca-file FILE]

prints the parts of Envoy that follow from FILE as one JSON object: `filter`, `routes`, `clusters`, and the names that a
run must provide: `environment` (variables) and `secrets` (files). scripts/lib/pools.py makes them.

Only what rendering needs is checked here: each error is one line that names the place and the remedy. The filter itself
refuses the rest when Envoy gives it the same file. Needs Python's standard library only.
"""
import argparse
import dataclasses
import ipaddress
import json
import pathlib
import re
import sys
import urllib.parse

NAME = re.compile(r"[a-z0-9-]{1,40}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MAX_WEIGHT = 1_000_000
# Debian, Ubuntu and Envoy's image keep the authorities there.
CA_FILE = "/etc/ssl/certs/ca-certificates.crt"


class Wrong(Exception):
    """What is wrong with the file, in one line."""


@dataclasses.dataclass(frozen=True)
class Provider:
    name: str
    host: str
    port: int
    is_tls: bool
    is_ip: bool
    http2: bool
    region: str
    from_file: str | None
    from_env: str | None
    health_check: str | None
    ca_file: str | None


@dataclasses.dataclass(frozen=True)
class Member:
    """A provider in a pool; its place counts over all priorities, as in a lane."""
    provider: Provider
    place: int
    weight: int | None


@dataclasses.dataclass(frozen=True)
class Pool:
    name: str
    priorities: list[list[Member]]
    timeout_ms: int
    per_try_timeout_ms: int | None
    sticky: bool

    @property
    def members(self) -> list[Member]:
        return [member for priority in self.priorities for member in priority]

    @property
    def providers(self) -> list[Provider]:
        return [member.provider for member in self.members]


@dataclasses.dataclass(frozen=True)
class Config:
    text: str
    providers: dict[str, Provider]
    pools: list[Pool]

    @property
    def environment(self) -> list[str]:
        """Variables that hold keys."""
        return sorted({provider.from_env for provider in self.providers.values() if provider.from_env})

    @property
    def secrets(self) -> list[str]:
        """Envoy Secret files that hold keys."""
        return sorted({provider.from_file for provider in self.providers.values() if provider.from_file})


def member_of(value: dict, key: str, kind: type, at: str, default=None):
    """`value[key]`, which must be of one kind of JSON; without a default it must be there."""
    found = value.get(key, default)
    if found is None:
        raise Wrong(f"{at}.{key} is missing")
    # bool is an int in Python, and never a count here.
    if not isinstance(found, kind) or isinstance(found, bool) is not (kind is bool):
        words = {dict: "an object", list: "an array", str: "a string", bool: "true or false", int: "a whole number"}
        raise Wrong(f"{at}.{key} must be {words[kind]}")
    return found


def optional(value: dict, key: str, kind: type, at: str):
    return None if value.get(key) is None else member_of(value, key, kind, at)


def named(kind: str, name: str, at: str) -> str:
    if not NAME.fullmatch(name):
        raise Wrong(f"{at}: `{name}` is no name of a {kind}: use 1 to 40 of a-z, 0-9 and `-`")
    return name


def address(url: str, at: str) -> tuple[str, int, bool, bool]:
    """Host, port, whether TLS is spoken and whether the host is an IP address."""
    remedy = "write http://HOST[:PORT] or https://HOST[:PORT] without a path"
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise Wrong(f"{at} is no address: {remedy}")
    if parts.username is not None or parts.password is not None:
        raise Wrong(f"{at} holds a credential: give it as `credential`")
    if parts.scheme not in ("http", "https") or not parts.hostname or url != f"{parts.scheme}://{parts.netloc}" or port == 0:
        raise Wrong(f"{at} is no address: {remedy}")
    host, is_tls = parts.hostname, parts.scheme == "https"
    try:
        ipaddress.ip_address(host)
        is_ip = True
    except ValueError:
        is_ip = False
        if not HOST.fullmatch(host):
            raise Wrong(f"{at} has no valid host: {remedy}")
    return host, port or (443 if is_tls else 80), is_tls, is_ip


def millis(text: str, at: str) -> int:
    found = DURATION.fullmatch(text)
    if not found or int(found[1]) == 0:
        raise Wrong(f"{at} is no duration: write digits and one of ms, s, m, h, d, as in \"10s\"")
    return int(found[1]) * UNITS[found[2]]


def provider_of(name: str, value: object, at: str) -> Provider:
    named("provider", name, at)
    if not isinstance(value, dict):
        raise Wrong(f"{at} must be an object")
    host, port, is_tls, is_ip = address(member_of(value, "url", str, at), f"{at}.url")
    credential = optional(value, "credential", dict, at) or {}
    from_file, from_env = (optional(credential, key, str, f"{at}.credential") for key in ("from_file", "from_env"))
    if credential and (from_file is None) == (from_env is None):
        raise Wrong(f"{at}.credential must have exactly one of from_file and from_env")
    if from_file is not None and not (FILE.fullmatch(from_file) and from_file.endswith(".yaml")):
        raise Wrong(f"{at}.credential.from_file must be the plain name of an Envoy Secret file in the secrets folder, as in \"{name}.yaml\"")
    if from_env is not None and not VARIABLE.fullmatch(from_env):
        raise Wrong(f"{at}.credential.from_env is no name of an environment variable")
    health_check = optional(value, "health_check", str, at)
    if health_check is not None and not re.fullmatch(r"/[!-~]*", health_check):
        raise Wrong(f"{at}.health_check must be a path that begins with `/`")
    http2 = member_of(value, "http2", bool, at, False)
    return Provider(name, host, port, is_tls, is_ip, http2, optional(value, "region", str, at) or "", from_file, from_env, health_check, optional(value, "ca_file", str, at))


def pool_of(name: str, value: object, providers: dict[str, Provider], at: str) -> Pool:
    named("pool", name, at)
    if not isinstance(value, dict):
        raise Wrong(f"{at} must be an object")
    priorities: list[list[Member]] = []
    seen: set[str] = set()
    for rank, priority in enumerate(member_of(value, "priorities", list, at)):
        if not isinstance(priority, list) or not priority:
            raise Wrong(f"{at}.priorities[{rank}] must be an array of providers, and not empty")
        priorities.append([])
        for index, entry in enumerate(priority):
            here = f"{at}.priorities[{rank}][{index}]"
            entry = {"provider": entry} if isinstance(entry, str) else entry
            if not isinstance(entry, dict):
                raise Wrong(f"{here} must be a provider's name or an object with `provider` and `weight`")
            wanted = member_of(entry, "provider", str, here)
            if wanted not in providers:
                raise Wrong(f"{here}: there is no provider `{wanted}`: add it to `providers`")
            if wanted in seen:
                raise Wrong(f"{here}: `{wanted}` stands in the pool twice")
            weight = optional(entry, "weight", int, here)
            if weight is not None and not 1 <= weight <= MAX_WEIGHT:
                raise Wrong(f"{here}.weight must be 1 to {MAX_WEIGHT}")
            priorities[-1].append(Member(providers[wanted], len(seen), weight))
            seen.add(wanted)
    if not priorities:
        raise Wrong(f"{at}.priorities must name a provider")
    timeouts = {key: optional(value, key, str, at) for key in ("timeout", "per_try_timeout")}
    timeout, per_try = (None if text is None else millis(text, f"{at}.{key}") for key, text in timeouts.items())
    pool = Pool(name, priorities, timeout or 600_000, per_try, optional(value, "sticky", str, at) is not None)
    # One cluster of Envoy speaks one protocol and asks for its endpoints' health by one path.
    if len({provider.http2 for provider in pool.providers}) > 1:
        raise Wrong(f"{at} mixes providers with and without http2: give them pools of their own")
    if len({provider.health_check for provider in pool.providers if provider.health_check}) > 1:
        raise Wrong(f"{at} has providers with different paths in health_check: use one path, or give them pools of their own")
    return pool


def read(text: str) -> Config:
    """The configuration in `text`."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Wrong(f"it is no JSON: {error}")
    if not isinstance(value, dict):
        raise Wrong("it must be a JSON object")
    providers = {name: provider_of(name, spec, f"providers.{name}") for name, spec in member_of(value, "providers", dict, "$").items()}
    pools = [pool_of(name, spec, providers, f"pools.{name}") for name, spec in member_of(value, "pools", dict, "$").items()]
    if not pools:
        raise Wrong("pools must hold a pool")
    return Config(text, providers, pools)


def main() -> int:
    import pools

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--filters", required=True, help="folder of the wasm modules")
    parser.add_argument("--secrets", required=True, help="folder of the Envoy Secret files")
    parser.add_argument("--ca-file", default=CA_FILE, help="authorities where a provider names none (%(default)s)")
    arguments = parser.parse_args()
    try:
        config = read(arguments.file.read_text())
    except OSError as error:
        sys.exit(f"error: {arguments.file}: {error.strerror}")
    except Wrong as wrong:
        sys.exit(f"error: {arguments.file}: {wrong}")
    files = pools.Files(arguments.filters.rstrip("/"), arguments.secrets.rstrip("/"), arguments.ca_file)
    parts = {"filter": pools.route_filter(config, files), "routes": pools.routes(config), "clusters": pools.clusters(config, files)}
    json.dump(parts | {"environment": config.environment, "secrets": config.secrets}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
