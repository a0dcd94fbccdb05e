"""Writes plain dicts, lists and scalars as the YAML that people read in envoy/envoy.yaml: blocks, and one line where it fits.

Not for any YAML: keys are plain words, strings with line breaks become `|` blocks.
"""
import dataclasses
import json
import re

# Strings that YAML reads as strings without quotes, also inside `{}` and `[]`.
PLAIN = re.compile(r"[A-Za-z0-9/.][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
# Strings that YAML 1.1 takes for something else: what begins like a number and is no duration or IPv4 address, and words.
NUMBER = re.compile(r"\.?[0-9].*")
NO_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(ms|s)|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
WIDTH = 130


class Raw(str):
    """Text that is written as it stands, such as an alias."""


@dataclasses.dataclass(frozen=True)
class Anchored:
    """A text of several lines that is named where it is written, so that others can refer to it."""
    name: str
    text: str


def scalar(value: object) -> str:
    if isinstance(value, Raw):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return value if is_plain(value) else json.dumps(value, ensure_ascii=False)
    raise TypeError(f"no scalar: {value!r}")


def is_plain(text: str) -> bool:
    if not PLAIN.fullmatch(text) or text.lower() in WORDS:
        return False
    return not NUMBER.fullmatch(text) or NO_NUMBER.fullmatch(text) is not None


def key(name: str) -> str:
    return name if is_plain(name) else json.dumps(name)


def flow(value: object) -> str | None:
    """On one line, or None where a block reads better."""
    if isinstance(value, dict):
        parts = [None if name == "@type" else (text := flow(field)) and f"{key(name)}: {text}" for name, field in value.items()]
        return None if None in parts else "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        parts = [flow(item) for item in value]
        return None if None in parts else "[" + ", ".join(parts) + "]"
    if isinstance(value, Anchored) or (isinstance(value, str) and "\n" in value):
        return None
    return scalar(value)


def lines(value: object, indent: int, notes: dict[str, str]) -> list[str]:
    """The block of a dict or a list. `notes` are comments above the first line with that key; used ones are taken out."""
    return items(value, indent, notes) if isinstance(value, list) else fields(value, indent, notes)


def items(value: list, indent: int, notes: dict[str, str]) -> list[str]:
    out: list[str] = []
    pad = " " * indent
    for item in value:
        short = flow(item)
        if short is not None and len(pad) + 2 + len(short) <= WIDTH and (not isinstance(item, dict) or len(item) <= 2):
            out.append(f"{pad}- {short}")
            continue
        block = lines(item, indent + 2, notes)
        first = next(at for at, line in enumerate(block) if not line.lstrip().startswith("#"))
        # A comment above the first key stands above the whole item.
        out += [pad + line.lstrip() for line in block[:first]]
        out += [f"{pad}- {block[first].lstrip()}"] + block[first + 1:]
    return out


def fields(value: dict, indent: int, notes: dict[str, str]) -> list[str]:
    out: list[str] = []
    pad = " " * indent
    for name, field in value.items():
        short = flow(field)
        if short is not None and isinstance(field, (dict, list)) and len(pad) + len(key(name)) + 2 + len(short) > WIDTH:
            short = None
        inside = [name] if short is None else [name, *keys(field)]
        for note in [notes.pop(found) for found in inside if found in notes]:
            out += comment(note, pad)
        if short is not None:
            out.append(f"{pad}{key(name)}: {short}")
        elif isinstance(field, (str, Anchored)):
            anchor, text = (f"&{field.name} ", field.text) if isinstance(field, Anchored) else ("", field)
            out.append(f"{pad}{key(name)}: {anchor}|")
            out += [f"{pad}  {line}".rstrip() for line in text.rstrip("\n").split("\n")]
        else:
            out.append(f"{pad}{key(name)}:")
            out += lines(field, indent if isinstance(field, list) else indent + 2, notes)
    return out


def keys(value: object) -> list[str]:
    """Every key inside."""
    if isinstance(value, dict):
        return [found for name, field in value.items() for found in (name, *keys(field))]
    return [found for item in value for found in keys(item)] if isinstance(value, list) else []


def comment(text: str, pad: str) -> list[str]:
    out = [f"{pad}#"]
    for word in text.split():
        if len(out[-1]) + 1 + len(word) > 122:
            out.append(f"{pad}#")
        out[-1] += f" {word}"
    return out
