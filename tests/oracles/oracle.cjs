// The libraries of npm as judges: `verify FILE` of what Hookyard delivered, `sign FILE` for Hookyard to judge.
//
// Called by tests/oracles/run. A case is {prefix, scheme, verifier, headers, body}; see crates/hookyard/tests/system/oracles.rs.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const standardwebhooks = require("standardwebhooks");
const svix = require("svix");

const REFUSALS = [standardwebhooks.WebhookVerificationError, svix.WebhookVerificationError];

// No library of npm verifies `v1a`, so OpenSSL does, by the words of the specification.
class Ed25519 {
  constructor(secret) {
    const raw = Buffer.from(secret.slice("whpk_".length), "base64");
    this.key = crypto.createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
  }

  verify(body, headers) {
    const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`), body]);
    const signatures = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
    const genuine = (one) => crypto.verify(null, signed, this.key, Buffer.from(one.slice("v1a,".length), "base64"));
    if (!signatures.some(genuine)) throw new standardwebhooks.WebhookVerificationError("no signature matches");
  }
}

function verifiers({ prefix, scheme, verifier }) {
  if (scheme === "v1a") return [["openssl", new Ed25519(verifier)]];
  const all = [["svix", new svix.Webhook(verifier)]];
  if (prefix === "webhook") all.push(["standardwebhooks", new standardwebhooks.Webhook(verifier)]);
  return all;
}

function* flips({ prefix, headers, body }) {
  const flipped = (bytes, at) => {
    const copy = Buffer.from(bytes);
    copy[at] ^= 1;
    return copy;
  };
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at++) yield [`byte ${at} of the body`, headers, flipped(bytes, at)];
  for (const name of ["id", "timestamp"]) {
    const value = Buffer.from(headers[`${prefix}-${name}`]);
    for (let at = 0; at < value.length; at++) {
      yield [`character ${at} of ${name}`, { ...headers, [`${prefix}-${name}`]: flipped(value, at).toString() }, bytes];
    }
  }
  const [version, base64] = headers[`${prefix}-signature`].split(",");
  const signature = Buffer.from(base64, "base64");
  for (let at = 0; at < signature.length; at++) {
    const value = `${version},${flipped(signature, at).toString("base64")}`;
    yield [`byte ${at} of the signature`, { ...headers, [`${prefix}-signature`]: value }, bytes];
  }
}

function verify(cases) {
  let accepted = 0;
  let refused = 0;
  for (const one of cases) {
    for (const [name, verifier] of verifiers(one)) {
      verifier.verify(Buffer.from(one.body), one.headers);
      accepted++;
      for (const [what, headers, body] of flips(one)) {
        let error = null;
        try {
          verifier.verify(body, headers);
        } catch (thrown) {
          error = thrown;
        }
        if (!REFUSALS.some((refusal) => error instanceof refusal)) {
          throw new Error(`${name} does not refuse a flipped bit in ${what} of ${JSON.stringify(one)}: ${error}`);
        }
        refused++;
      }
    }
  }
  if (accepted === 0) throw new Error("there is nothing to verify");
  console.log(`npm: ${accepted} deliveries accepted, ${refused} with a flipped bit refused`);
}

function signed() {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const cases = [];
  for (const [dialect, prefix, library] of [["standard", "webhook", standardwebhooks], ["svix", "svix", svix]]) {
    for (const body of ['{"type":"a.b","n":9007199254740993}', '{ "é" :\t[ ] }', '"\\u2028"']) {
      const id = `msg_${cases.length}`;
      const now = new Date();
      const headers = {
        [`${prefix}-id`]: id,
        [`${prefix}-timestamp`]: String(Math.floor(now / 1000)),
        [`${prefix}-signature`]: new library.Webhook(secret).sign(id, now, body),
      };
      cases.push({ dialect, secret, headers, body });
    }
  }
  return cases;
}

const [deed, file] = process.argv.slice(2);
if (deed === "sign") fs.writeFileSync(file, JSON.stringify(signed(), null, 2));
else verify(JSON.parse(fs.readFileSync(file, "utf8")));
