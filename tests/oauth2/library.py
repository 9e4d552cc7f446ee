"""Drives the OAuth 2 endpoints with Authlib. What it was told comes as JSON in the one argument."""

import json
import sys
import time

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import RSAKey

told = json.loads(sys.argv[1])
base = told["base"]
found = requests.get(base + "/.well-known/oauth-authorization-server", timeout=20).json()
token_url = found["token_endpoint"]


def client(name=None, secret=None, method=None, **more):
    return OAuth2Session(name, secret, token_endpoint_auth_method=method, token_endpoint=token_url, **more)


def introspected(token):
    gateway = client("gateway", told["gateway"])
    return gateway.introspect_token(found["introspection_endpoint"], token=token).json()


# A service, by each of the ways to show its secret.
for method in ("client_secret_basic", "client_secret_post"):
    billing = client("billing", told["secret"], method)
    token = billing.fetch_token(token_url, grant_type="client_credentials", scope="orders:read")
    assert token["token_type"] == "Bearer" and token["scope"] == "orders:read", token
    about = introspected(token["access_token"])
    assert about["active"] and about["client_id"] == "billing", about
    assert billing.revoke_token(found["revocation_endpoint"], token=token["access_token"]).status_code == 200
    assert introspected(token["access_token"]) == {"active": False}

try:
    client("billing", "x" * 40).fetch_token(token_url, grant_type="client_credentials")
    raise AssertionError("a wrong secret was taken")
except OAuthError as error:
    assert error.error == "invalid_client", error

# A service that signs: its keys are put where the configuration says.
with open(told["key"], "rb") as file:
    pem = file.read()
public = RSAKey.import_key(pem, {"kid": "authlib", "use": "sig", "alg": "RS256"}).as_dict(private=False)
with open(told["jwks"], "w", encoding="utf-8") as file:
    json.dump({"keys": [public]}, file)
batch = client("batch", pem, "private_key_jwt")
batch.register_client_auth_method(PrivateKeyJWT(token_url, headers={"kid": "authlib"}))
until = time.monotonic() + 20
while True:
    try:
        token = batch.fetch_token(token_url, grant_type="client_credentials")
        break
    except OAuthError as error:
        assert error.error == "invalid_client" and time.monotonic() < until, error
        time.sleep(0.1)
assert introspected(token["access_token"])["client_id"] == "batch"

# A person's session, that a public client refreshes.
signed_in = requests.post(
    base + "/auth/login", json={"email": "alice@example.com", "password": told["password"]}, timeout=20
).json()
web = client("web", None, "none", token=signed_in)
token = web.refresh_token(token_url, refresh_token=signed_in["refresh_token"])
assert token["refresh_token"] != signed_in["refresh_token"], token
assert introspected(token["access_token"])["sub"] and introspected(token["refresh_token"])["active"]
assert web.revoke_token(found["revocation_endpoint"], token=token["refresh_token"]).status_code == 200
assert introspected(token["access_token"]) == {"active": False}
try:
    web.refresh_token(token_url, refresh_token=token["refresh_token"])
    raise AssertionError("an ended session was refreshed")
except OAuthError as error:
    assert error.error == "invalid_grant", error

print("all went well")
