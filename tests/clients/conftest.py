"""Real SDKs against a running gateway, told by the variables that `scripts/up` writes to .run/env."""
import os
import uuid

import pytest


@pytest.fixture
def gateway() -> str:
    return os.environ["GATEWAY_URL"]


@pytest.fixture(params=["GATEWAY_API_KEY", "GATEWAY_JWT"])
def credential(request) -> str:
    """Each test that asks for it runs with an API key and with a JWT."""
    return os.environ[request.param]


@pytest.fixture
def question() -> str:
    """A prompt nobody asked before, so that the cache has no answer."""
    return f"What is {uuid.uuid4()}?"
