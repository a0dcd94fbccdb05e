"""Who calls in the benches of auth and budget: many API keys, and tokens of one issuer, one or thousands of them.

Claims are like a provider's: a name, a tenant, and times. PyJWT signs, so nothing of ours makes what ours is measured
with.
"""
import hashlib
import json
import pathlib
import secrets
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import algorithms

ISSUER = "https://issuer.tollgate.example"
AUDIENCE = "tollgate"
KEYS = 1_000
# More than the 4,096 that auth remembers, so that going through them in turn never finds one remembered.
TOKENS = 6_000
DAY = 24 * 3600


class Keys:
    """Callers with API keys."""

    def __init__(self, work: pathlib.Path):
        self.work = work
        self.keys = {f"key-{number}": f"tg_{secrets.token_urlsafe(32)}" for number in range(KEYS)}

    def digests(self, own_tenants: bool = False) -> list[dict]:
        """The keys as auth wants them: all of one tenant, or each of a tenant named like it."""
        return [{"id": name, "tenant": name if own_tenants else "acme", "sha256": hashlib.sha256(key.encode()).hexdigest()} for name, key in self.keys.items()]

    def file(self, name: str, lines: list[str]) -> pathlib.Path:
        path = self.work / name
        path.touch(0o600)
        path.write_text("\n".join(lines) + "\n")
        return path


class Callers(Keys):
    """Callers with API keys and callers with tokens."""

    def __init__(self, work: pathlib.Path):
        super().__init__(work)
        pairs = {"RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048), "ES256": ec.generate_private_key(ec.SECP256R1())}
        writers = {"RS256": algorithms.RSAAlgorithm, "ES256": algorithms.ECAlgorithm}
        public = {name: writers[name].to_jwk(pair.public_key(), as_dict=True) for name, pair in pairs.items()}
        self.jwks = {"keys": [key | {"kid": name, "alg": name, "use": "sig"} for name, key in public.items()]}
        self.algorithms = list(pairs)
        # Files with a credential a line, by what a load calls them.
        self.files = {"API key": self.file("keys", [self.keys["key-500"]])}
        for name, pair in pairs.items():
            tokens = [token(name, pair, f"user-{number}") for number in range(TOKENS)]
            self.files[f"{name}, {TOKENS:,} tokens"] = self.file(f"{name}-many", tokens)
            self.files[f"{name}, one token"] = self.file(f"{name}-one", [token(name, pair, "one")])

    def jwks_text(self) -> str:
        return json.dumps(self.jwks)


def token(algorithm: str, key, subject: str) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "tenant": "acme", "iat": now, "exp": now + DAY}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": algorithm})
