"""Tokens by PyJWT and jwcrypto, good and bad, with the keys that judge them and the verdict that is due, as JSON.

    python tests/clients/mint_tokens.py

Each library makes its own keys, writes its own JWKS and signs with its own code, as an identity provider built on it
would. Public keys belong to one issuer a library; the shared secrets of both belong to a third, as a secret must not
stand beside public keys. `code` is what the gateway answers to a bad token and null for a good one.
"""
import base64
import json
import secrets
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwcrypto import jwk, jws
from jwcrypto.common import base64url_encode
from jwt import algorithms

# Algorithm: kind of key. A new one is a line here, and one in `kinds` of both libraries if its kind is new.
ALGORITHMS = {
    "RS256": "rsa", "RS384": "rsa", "RS512": "rsa",
    "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
    "ES256": "p256", "ES384": "p384", "ES512": "p521",
    "EdDSA": "ed25519",
    "HS256": "secret", "HS384": "secret", "HS512": "secret",
}
AUDIENCE = "tollgate"
SECRET_ISSUER = "https://secrets.tollgate.example"
SECRET_BYTES = 64
HOUR = 3600


class PyJwt:
    """Private keys are those of `cryptography`."""

    issuer = "https://pyjwt.tollgate.example"
    kinds = {
        "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "secret": lambda: secrets.token_bytes(SECRET_BYTES),
    }
    writers = {"rsa": algorithms.RSAAlgorithm, "p256": algorithms.ECAlgorithm, "p384": algorithms.ECAlgorithm,
               "p521": algorithms.ECAlgorithm, "ed25519": algorithms.OKPAlgorithm, "secret": algorithms.HMACAlgorithm}

    def jwk(self, kind, key) -> dict:
        return self.writers[kind].to_jwk(key if kind == "secret" else key.public_key(), as_dict=True)

    def sign(self, algorithm, key, kid, claims) -> str:
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})

    def public_secrets(self, key) -> dict:
        """PyJWT knows PEM, DER and JWK and refuses them as secrets, so the attacker takes the bare number."""
        return {"modulus": key.public_key().public_numbers().n.to_bytes(256, "big")}


class JwCrypto:
    """Keys are JSON Web Keys from the start."""

    issuer = "https://jwcrypto.tollgate.example"
    kinds = {
        "rsa": lambda: jwk.JWK.generate(kty="RSA", size=2048),
        "p256": lambda: jwk.JWK.generate(kty="EC", crv="P-256"),
        "p384": lambda: jwk.JWK.generate(kty="EC", crv="P-384"),
        "p521": lambda: jwk.JWK.generate(kty="EC", crv="P-521"),
        "ed25519": lambda: jwk.JWK.generate(kty="OKP", crv="Ed25519"),
        "secret": lambda: jwk.JWK.generate(kty="oct", size=8 * SECRET_BYTES),
    }

    def jwk(self, kind, key) -> dict:
        return json.loads(key.export() if kind == "secret" else key.export_public())

    def sign(self, algorithm, key, kid, claims) -> str:
        token = jws.JWS(json.dumps(claims))
        token.add_signature(key, None, json.dumps({"alg": algorithm, "kid": kid, "typ": "JWT"}))
        return token.serialize(compact=True)

    def public_secrets(self, key) -> dict:
        pem = key.export_to_pem()
        der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
        return {form: jwk.JWK(kty="oct", k=base64url_encode(secret)) for form, secret in (("PEM", pem), ("DER", der))}


def claims(issuer, **changes) -> dict:
    now = int(time.time())
    return {"iss": issuer, "aud": AUDIENCE, "sub": "demo", "tenant": "acme", "iat": now, "exp": now + HOUR} | changes


def mint(library) -> tuple[dict, list[dict]]:
    """Public and secret keys by their place, and tokens."""
    name = type(library).__name__
    keys = {kind: make() for kind, make in library.kinds.items()}
    tokens = []

    def add(what, code, token):
        tokens.append({"what": f"{name}: {what}", "code": code, "token": token})

    for algorithm, kind in ALGORITHMS.items():
        issuer = SECRET_ISSUER if kind == "secret" else library.issuer
        kid = f"{name}-{kind}"

        def sign(key=keys[kind], algorithm=algorithm, kid=kid, issuer=issuer, **changes):
            return library.sign(algorithm, key, kid, claims(issuer, **changes))

        add(f"{algorithm}", None, sign())
        add(f"{algorithm} for one of two audiences", None, sign(aud=["other", AUDIENCE]))
        add(f"{algorithm}, expired", "token_expired", sign(exp=int(time.time()) - HOUR))
        add(f"{algorithm}, other audience", "audience_mismatch", sign(aud="other"))
        add(f"{algorithm}, other key of that kid", "signature_invalid", sign(key=library.kinds[kind]()))

    rsa_kid = f"{name}-rsa"
    for form, secret in library.public_secrets(keys["rsa"]).items():
        due = ((library.issuer, rsa_kid, "algorithm_not_allowed"), (SECRET_ISSUER, f"{name}-secret", "signature_invalid"))
        for issuer, kid, code in due:
            token = library.sign("HS256", secret, kid, claims(issuer))
            add(f"HS256 for {issuer} with the RSA key's {form} as secret", code, token)
    if isinstance(library, PyJwt):  # jwcrypto has no such thing
        unsigned = jwt.encode(claims(library.issuer), None, algorithm="none", headers={"kid": rsa_kid})
        add("alg none", "algorithm_not_allowed", unsigned)
    return {kind: library.jwk(kind, key) | {"kid": f"{name}-{kind}"} for kind, key in keys.items()}, tokens


def main() -> None:
    public = [algorithm for algorithm, kind in ALGORITHMS.items() if kind != "secret"]
    shared = [algorithm for algorithm in ALGORITHMS if algorithm not in public]
    issuers, tokens, shared_keys = [], [], []
    for library in (PyJwt(), JwCrypto()):
        keys, minted = mint(library)
        shared_keys.append(keys.pop("secret"))
        issuers.append({"issuer": library.issuer, "algorithms": public, "jwks": {"keys": list(keys.values())}})
        tokens.extend(minted)
    secret = {"issuer": SECRET_ISSUER, "algorithms": shared, "jwks": {"keys": shared_keys}}
    print(json.dumps({"audience": AUDIENCE, "public": issuers, "secret": secret, "tokens": tokens}))


if __name__ == "__main__":
    main()
