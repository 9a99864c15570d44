// Verifies DSSE envelopes with @sigstore/verify: lines of JSON on stdin, the first names the folder with the modules, each
// other one is {pem, envelope}; prints a line for each, `ok` or what is wrong.
const { createPublicKey } = require("crypto");
const { createRequire } = require("module");
const lines = require("fs").readFileSync(0, "utf8").trim().split("\n").map(JSON.parse);
const load = createRequire(lines[0].modules + "/");
const { Verifier, toSignedEntity, toTrustMaterial } = load("@sigstore/verify");
const { bundleFromJSON } = load("@sigstore/bundle");
const root = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
for (const { pem, envelope } of lines.slice(1)) {
  const bundle = bundleFromJSON({
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { publicKey: { hint: "k" } },
    dsseEnvelope: envelope,
  });
  const keys = () => ({ publicKey: createPublicKey(pem), validFor: () => true });
  const verifier = new Verifier(toTrustMaterial(root, keys), { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });
  try {
    verifier.verify(toSignedEntity(bundle));
    console.log("ok");
  } catch (e) {
    console.log(e.code || String(e));
  }
}
