#!/usr/bin/env python3
"""Takes the callbacks that a filter does not use out of a module's exports.

    unexport.py MODULE OUT

The SDK exports all callbacks, and Envoy enters the VM for each that is exported: for a filter that has nothing to say in a
phase, that is most of what the phase costs. A filter names the phases that it leaves out in its `export!`, which stands in the
module as the custom section `tollgate.without`.
"""
import pathlib
import sys

SECTION = "tollgate.without"
CUSTOM, EXPORT = 0, 7
PHASES = {
    "response": {"proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers"},
    "response_body": {"proxy_on_response_body", "proxy_on_response_trailers"},
    "log": {"proxy_on_log"},
    "done": {"proxy_on_done"},
}
HEADER = b"\0asm\1\0\0\0"


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def written(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def read_name(data: bytes, at: int) -> tuple[str, int]:
    size, at = read_number(data, at)
    return data[at : at + size].decode(), at + size


def sections(module: bytes):
    """Each section's number and contents, in order."""
    if module[: len(HEADER)] != HEADER:
        raise ValueError("this is no WebAssembly module")
    at = len(HEADER)
    while at < len(module):
        kind = module[at]
        size, at = read_number(module, at + 1)
        yield kind, module[at : at + size]
        at += size


def exports(contents: bytes):
    """Each export's name and bytes, in order."""
    count, at = read_number(contents, 0)
    for _ in range(count):
        begin = at
        name, at = read_name(contents, at)
        _, at = read_number(contents, at + 1)
        yield name, contents[begin:at]


def unused(module: bytes) -> set[str]:
    """The callbacks of the phases that the module says it is without."""
    for kind, contents in sections(module):
        if kind == CUSTOM and read_name(contents, 0)[0] == SECTION:
            words = contents[read_name(contents, 0)[1] :].decode().split()
            return set().union(*(PHASES[word] for word in words))
    return set()


def unexport(module: bytes) -> bytes:
    gone = unused(module)
    out = bytearray(HEADER)
    for kind, contents in sections(module):
        if kind == CUSTOM and read_name(contents, 0)[0] == SECTION:
            continue
        if kind == EXPORT:
            kept = [entry for name, entry in exports(contents) if name not in gone]
            contents = written(len(kept)) + b"".join(kept)
        out += bytes([kind]) + written(len(contents)) + contents
    return bytes(out)


if __name__ == "__main__":
    source, out = map(pathlib.Path, sys.argv[1:])
    out.write_bytes(unexport(source.read_bytes()))
