// GitHub's own library as a judge of what signs as GitHub does under another header: `github.mjs FILE`.
//
// Called by tests/oracles/run. A case is {header, secret, headers, body}; see crates/hookyard/tests/system/oracles.rs.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

// The package has no entry for `require`, and `import` does not look where NODE_PATH points.
const library = path.join(process.env.NODE_PATH, "@octokit/webhooks-methods/dist-node/index.js");
const { verify } = await import(pathToFileURL(library));

const flipped = (text, at, bit) => {
  const copy = Buffer.from(text);
  copy[at] ^= 1 << bit;
  return copy.toString("latin1");
};

let accepted = 0;
let refused = 0;
for (const { header, secret, headers, body } of JSON.parse(fs.readFileSync(process.argv[2], "utf8"))) {
  const signature = headers[header];
  if (!(await verify(secret, body, signature))) throw new Error(`refused: ${body}`);
  accepted++;
  for (let at = 0; at < Buffer.byteLength(body); at++) {
    if (await verify(secret, flipped(body, at, 0), signature)) throw new Error(`byte ${at} of ${body}`);
    refused++;
  }
  const digits = signature.slice("sha256=".length);
  for (let at = 0; at < digits.length; at++) {
    if (await verify(secret, body, `sha256=${flipped(digits, at, 0)}`)) throw new Error(`digit ${at} of ${signature}`);
    refused++;
  }
  if (await verify(`${secret}x`, body, signature)) throw new Error("another secret is accepted");
}
if (accepted === 0) throw new Error("there is nothing to verify");
console.log(`@octokit/webhooks-methods: ${accepted} deliveries accepted, ${refused} with a flipped bit refused`);
