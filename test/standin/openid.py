"""A stand-in for an OpenID Connect provider: discovery, keys, the authorization code flow.

It runs in a thread of its own and speaks HTTP. Whoever comes to log in is `person`; it can turn its
keys, be away, and lie about itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "aliecs"
SECRET = "secret of a test"


class OpenIdProvider:
    """See the module. A context manager; `issuer` is its address."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {
            "sub": "subject-of-alice",
            "cern_upn": "alice",
            "cern_person_id": 4711,
            "cern_roles": ["det-its"],
        }
        self.is_away = False
        self.claimed_issuer = ""
        self.asked_for_keys = 0
        self.refused: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self.turn_keys()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realm"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> OpenIdProvider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def turn_keys(self) -> None:
        """Sign with another key from now on."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_name = hashlib.sha256(str(time.monotonic_ns()).encode()).hexdigest()[:8]

    def token(self, **claims: Any) -> str:
        """A token for `person`, with other claims where some are given; None leaves one out."""
        value = {
            "iss": self.issuer,
            "aud": CLIENT,
            "exp": int(time.time()) + 600,
            **self.person,
            **claims,
        }
        value = {name: item for name, item in value.items() if item is not None}
        return jwt.encode(value, self._key, "RS256", headers={"kid": self._key_name})

    # --- its paths -------------------------------------------------------------------------

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if self.is_away:
            request.connection.close()
        elif url.path == "/realm/.well-known/openid-configuration":
            _answer(
                request,
                {
                    "issuer": self.claimed_issuer or self.issuer,
                    "jwks_uri": f"{self.issuer}/keys",
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                },
            )
        elif url.path == "/realm/keys":
            self.asked_for_keys += 1
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
            _answer(request, {"keys": [{**key, "kid": self._key_name, "use": "sig"}]})
        elif url.path == "/realm/authorize":
            code = hashlib.sha256(json.dumps(query).encode()).hexdigest()
            self._codes[code] = query
            request.send_response(302)
            answer = urlencode({"code": code, "state": query["state"]})
            request.send_header("Location", f"{query['redirect_uri']}?{answer}")
            request.end_headers()
        else:
            request.send_error(404)

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length", 0))
        form = {n: v[-1] for n, v in parse_qs(request.rfile.read(length).decode()).items()}
        asked = self._codes.pop(form.get("code", ""), None)
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            self._refuse(request, "the client is not who it says")
        elif asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            self._refuse(request, "no such code")
        elif _challenge(form.get("code_verifier", "")) != asked["code_challenge"]:
            self._refuse(request, "the verifier is wrong")
        else:
            token = self.token(nonce=asked["nonce"])
            _answer(request, {"id_token": token, "access_token": token, "token_type": "Bearer"})

    def _refuse(self, request: BaseHTTPRequestHandler, why: str) -> None:
        self.refused.append(why)
        _answer(request, {"error": "invalid_grant", "error_description": why}, 400)


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _answer(request: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
    body = json.dumps(value).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
