"""What auth costs next to Envoy's own filters: requests per second and Envoy's whole CPU time per request.

A bench of refusals, or of tokens remembered where none should be, would be worthless. So after every load Envoy's
counters must show that every call was let in, for the reason that the variant is about, and reached the provider.
"""
import dataclasses
import json

import audit
import load
import rivals
from callers import TOKENS, Callers
from machine import Envoy, Machine, options

CONNECTIONS = 16
SIGNATURES = "gateway_auth_signatures_total"
# Envoys by name. One serves all loads of its kind.
ENVOYS = {
    "no auth": rivals.bare,
    "Tollgate auth": rivals.tollgate,
    "api_key_auth": rivals.api_key_auth,
    "jwt_authn": rivals.jwt_authn,
    "jwt_authn, jwt_cache_config": rivals.jwt_authn_with_cache,
}


@dataclasses.dataclass(frozen=True)
class Variant:
    credential: str
    envoy: str
    # Must have counted every call; of the counters of Tollgate's signatures, none but this one may have.
    counter: str | None = None
    # The Envoy with the native filter.
    rival: str | None = None
    # Most CPU a request, in times of the rival's.
    target: float | None = None


def variants() -> list[Variant]:
    allowed = "envoy_http_jwt_authn_allowed"
    found = [
        Variant("API key", "no auth"),
        Variant("API key", "Tollgate auth", 'gateway_auth_total{reason="api_key",result="allowed"}', "api_key_auth", 1.3),
        Variant("API key", "api_key_auth", "envoy_http_api_key_auth_allowed"),
    ]
    for name, target in (("RS256", 1.5), ("ES256", None)):
        found += [
            Variant(f"{name}, one token", "Tollgate auth", f'{SIGNATURES}{{type="remembered"}}', "jwt_authn, jwt_cache_config", 1.3),
            Variant(f"{name}, one token", "jwt_authn, jwt_cache_config", allowed),
            Variant(f"{name}, one token", "jwt_authn", allowed),
            Variant(f"{name}, {TOKENS:,} tokens", "Tollgate auth", f'{SIGNATURES}{{type="proxy"}}', "jwt_authn", target),
            Variant(f"{name}, {TOKENS:,} tokens", "jwt_authn", allowed),
        ]
    return found


def check(variant: Variant, grown: dict[str, float], requests: int) -> None:
    def expect(name: str, due: int) -> None:
        # wrk ends with calls under way, and whoever comes first with a token has it checked.
        audit.expect(variant, grown, name, due, 2 * CONNECTIONS, ("auth", "provider"))

    expect(audit.ANSWERED, requests)
    if variant.counter:
        expect(variant.counter, requests)
    for name in grown:
        if name.startswith(SIGNATURES) and name != variant.counter:
            expect(name, 0)


def rounds(machine: Machine, envoys: dict[str, Envoy], callers: Callers) -> dict:
    turns: dict[Variant, int] = {}

    def measure(variant: Variant) -> dict:
        envoy = envoys[variant.envoy]
        auditor = audit.Auditor(envoy)
        # Goes on behind the last token of the load before: beginning anew, it would meet tokens that are remembered.
        start = turns.get(variant, 0)
        figures = load.run(envoy, callers.files[variant.credential], "json", "miss", CONNECTIONS, machine.settings.seconds, start)
        turns[variant] = start + figures["requests"] + CONNECTIONS
        check(variant, auditor.grown(), figures["requests"])
        return figures

    return load.alternate(machine.settings.rounds, variants(), measure)


def table(results: dict) -> list[dict]:
    bare = next(figures for variant, figures in results.items() if variant.envoy == "no auth")
    rows = []
    for variant, figures in results.items():
        row = {"credential": variant.credential, "variant": variant.envoy, "target": variant.target}
        row |= load.compared(figures, bare, ("cpu_us", "rps"))
        if variant.rival:
            rival = results[next(other for other in results if (other.credential, other.envoy) == (variant.credential, variant.rival))]
            row |= {"rival": variant.rival, "to_rival": load.ratio(figures, rival, "cpu_us")}
        rows.append(row)
    return rows


def show(rows: list[dict]) -> None:
    print("| credential | filter | Envoy CPU µs/request | to no auth | requests/s, 1 worker | CPU to native | target |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for row in rows:
        native = f"{row['to_rival']:.2f}" if "rival" in row else ""
        target = f"≤ {row['target']}" if row["target"] else ""
        print("| {credential} | {variant} | {cpu_us:.1f} | {cpu_us_ratio:.2f} | {rps:.0f} | {native} | {target} |".format(**row | {"native": native, "target": target}))


def main() -> None:
    settings = options(__doc__)
    with Machine(settings) as machine:
        callers = Callers(machine.work)
        envoys = {name: machine.envoy(name, lambda config, change=change: change(config, callers)) for name, change in ENVOYS.items()}
        rows = table(rounds(machine, envoys, callers))
        facts = machine.facts()
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "bench-auth.json").write_text(json.dumps({"machine": facts, "rows": rows}, indent=2))
    show(rows)
    print(f"\nEnvoy {facts['envoy'].split('/')[1]}, {facts['cpus']} CPUs, {facts['date']}, medians of {settings.rounds} alternating rounds; {settings.out}/bench-auth.json")


if __name__ == "__main__":
    main()
