"""The built modules ask Envoy for the callbacks that their filters use, and for no other."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))

import unexport  # noqa: E402

RESPONSE_BODY = {"proxy_on_response_body", "proxy_on_response_trailers"}
RESPONSE = {"proxy_on_response_headers"} | RESPONSE_BODY
LOG = {"proxy_on_log"}
DONE = {"proxy_on_done"}
ALL = {
    "proxy_on_context_create", "proxy_on_configure", "proxy_on_tick", "proxy_on_http_call_response", "proxy_on_delete",
    "proxy_on_request_headers", "proxy_on_request_body", "proxy_on_request_trailers",
} | RESPONSE | LOG | DONE
WITHOUT = {"auth": RESPONSE | LOG | DONE, "budget": DONE, "cache": LOG | DONE, "metrics": DONE, "provider": RESPONSE_BODY}


def exported(module: bytes) -> set[str]:
    found = [contents for kind, contents in unexport.sections(module) if kind == unexport.EXPORT]
    assert len(found) == 1
    return {name for name, _ in unexport.exports(found[0])}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_module_exports_what_its_filter_uses(name):
    names = exported((ROOT / f"target/filters/{name}.wasm").read_bytes())
    assert names & ALL == ALL - WITHOUT[name]
    assert "memory" in names, "Envoy could not load it"


def test_what_it_does_not_know_stays_and_a_strange_phase_is_an_error():
    section = lambda kind, contents: bytes([kind]) + unexport.written(len(contents)) + contents
    name = lambda text: unexport.written(len(text)) + text.encode()
    entries = [name(export) + b"\0\1" for export in ["proxy_on_log", "proxy_on_done", "x" * 200]]
    module = lambda words: (
        unexport.HEADER + section(unexport.CUSTOM, name("other") + b"kept") + section(unexport.CUSTOM, name(unexport.SECTION) + words)
        + section(unexport.EXPORT, unexport.written(3) + b"".join(entries)))
    assert exported(unexport.unexport(module(b""))) == {"proxy_on_log", "proxy_on_done", "x" * 200}
    result = unexport.unexport(module(b"log done"))
    assert exported(result) == {"x" * 200}
    assert b"kept" in result and unexport.SECTION.encode() not in result
    with pytest.raises(KeyError):
        unexport.unexport(module(b"responses"))
    with pytest.raises(ValueError):
        unexport.unexport(b"not a module")
