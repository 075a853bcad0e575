// Asks the snippets for Node about each case: `drive.mjs FOLDER CASES`, an answer a line. Called by run.py.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2);
const snippet = (name) => import(pathToFileURL(`${folder}/${name}`));
const { verifyStandard } = await snippet("verify-standard.mjs");
const { verifyBody } = await snippet("verify-body.mjs");
const { verifyHeader } = await snippet("verify-header.mjs");

for (const { scheme, prefix, header, secret, headers, body } of JSON.parse(readFileSync(file, "utf8"))) {
  const bytes = Buffer.from(body, "base64");
  const accepted =
    scheme === "standard" ? verifyStandard(secret, headers, bytes, prefix)
    : scheme === "body" ? verifyBody(secret, headers[header], bytes, prefix)
    : verifyHeader(secret, headers[header]);
  console.log(accepted);
}
