"""kustomize for the tests: what PATH has, or what Go builds once into .cache."""
import functools
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULE = "sigs.k8s.io/kustomize/kustomize/v5"
VERSION = "v5.7.1"
# `components`, `labels` and `matchLabelKeys` are all older than this.
LEAST = (5, 0)


@functools.cache
def command() -> list[str] | None:
    """`kubectl kustomize`, `kustomize build`, or nothing where neither is to be had."""
    if (path := shutil.which("kubectl")) and recent(subprocess.run([path, "version", "--client"], capture_output=True, text=True).stdout):
        return [path, "kustomize"]
    if (path := shutil.which("kustomize")) and recent("Kustomize Version: " + subprocess.run([path, "version"], capture_output=True, text=True).stdout):
        return [path, "build"]
    built = ROOT / ".cache/kustomize" / VERSION / "kustomize"
    if not built.exists() and (go := shutil.which("go")):
        built.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([go, "install", f"{MODULE}@{VERSION}"], env=os.environ | {"GOBIN": str(built.parent), "GOFLAGS": "-mod=mod"}, capture_output=True, text=True)
        assert done.returncode == 0, f"Go does not build kustomize: {done.stderr[-500:]}"
    return [str(built), "build"] if built.exists() else None


def recent(text: str) -> bool:
    found = re.search(r"Kustomize Version: v(\d+)\.(\d+)", text)
    return bool(found) and (int(found[1]), int(found[2])) >= LEAST


@functools.cache
def build(folder: str) -> list[dict]:
    """The documents of a kustomization; the test is skipped where there is no kustomize."""
    found = command()
    if not found:
        pytest.skip(f"no kubectl or kustomize of {LEAST[0]}.{LEAST[1]} or later on PATH, and no Go that builds one")
    done = subprocess.run([*found, str(ROOT / folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))
