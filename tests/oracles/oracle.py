"""The libraries of PyPI as judges: `verify FILE` of what Hookyard delivered, `sign FILE` for Hookyard to judge.

Called by tests/oracles/run. A case is {prefix, scheme, verifier, headers, body}; see crates/hookyard/tests/system/oracles.rs.
"""

import base64
import json
import sys
from datetime import datetime, timezone

import standardwebhooks
import svix.webhooks
from standardwebhooks.webhooks import WebhookVerificationError

# A body that is no longer UTF-8 cannot be what was signed, and is refused before it is hashed.
REFUSALS = (WebhookVerificationError, svix.webhooks.WebhookVerificationError, UnicodeDecodeError)


def verifiers(case):
    if case["scheme"] != "v1":
        return []
    verifying = [("svix", svix.webhooks.Webhook(case["verifier"]))]
    if case["prefix"] == "webhook":
        verifying.append(("standardwebhooks", standardwebhooks.Webhook(case["verifier"])))
    return verifying


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def flips(case):
    prefix, headers, body = case["prefix"], case["headers"], case["body"].encode()
    for at in range(len(body)):
        yield f"byte {at} of the body", headers, flipped(body, at)
    for name in ("id", "timestamp"):
        value = headers[f"{prefix}-{name}"].encode()
        for at in range(len(value)):
            yield f"character {at} of {name}", {**headers, f"{prefix}-{name}": flipped(value, at).decode()}, body
    version, encoded = headers[f"{prefix}-signature"].split(",")
    signature = base64.b64decode(encoded)
    for at in range(len(signature)):
        value = f"{version},{base64.b64encode(flipped(signature, at)).decode()}"
        yield f"byte {at} of the signature", {**headers, f"{prefix}-signature": value}, body


def verify(cases):
    accepted = refused = 0
    for case in cases:
        for name, verifier in verifiers(case):
            verifier.verify(case["body"].encode(), case["headers"])
            accepted += 1
            for what, headers, body in flips(case):
                try:
                    verifier.verify(body, headers)
                except REFUSALS:
                    refused += 1
                else:
                    raise AssertionError(f"{name} does not refuse a flipped bit in {what} of {case}")
    assert accepted > 0, "there is nothing to verify"
    print(f"PyPI: {accepted} deliveries accepted, {refused} with a flipped bit refused")


def signed():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    cases = []
    libraries = (("standard", "webhook", standardwebhooks.Webhook), ("svix", "svix", svix.webhooks.Webhook))
    for dialect, prefix, library in libraries:
        for body in ('{"type":"a.b","n":9007199254740993}', '{ "é" :\t[ ] }', '"\\u2028"'):
            message, now = f"msg_{len(cases)}", datetime.now(tz=timezone.utc)
            headers = {
                f"{prefix}-id": message,
                f"{prefix}-timestamp": str(int(now.timestamp())),
                f"{prefix}-signature": library(secret).sign(message, now, body),
            }
            cases.append({"dialect": dialect, "secret": secret, "headers": headers, "body": body})
    return cases


def main():
    deed, file = sys.argv[1:]
    if deed == "sign":
        with open(file, "w", encoding="utf-8") as out:
            json.dump(signed(), out, indent=2)
    else:
        with open(file, encoding="utf-8") as cases:
            verify(json.load(cases))


main()
