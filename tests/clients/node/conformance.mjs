// Holds a running relay against PROTOCOL.md. Prints a line for each check and exits with 1 if one failed.
//
//   node conformance.mjs --url ws://HOST:PORT/ws [--token-command COMMAND] [--only TEXT]

import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";

import { connectionChecks } from "./connection.mjs";
import { deliveryChecks } from "./delivery.mjs";
import { refusalChecks } from "./refusals.mjs";

const TOKENS = {
  TOKEN_A: ["conformance-a", "all"],
  TOKEN_B: ["conformance-b", "all"],
  TOKEN_NOTHING: ["conformance-nothing", "nothing"],
};
const CHECK_MS = 60_000;

const { values } = parseArgs({
  options: { url: { type: "string" }, "token-command": { type: "string" }, only: { type: "string", default: "" } },
});
if (!values.url) {
  console.error("--url ws://HOST:PORT/ws is needed");
  process.exit(2);
}

/** From the environment, else from the command, which is given the agent and `all` or `nothing`. */
function token(name) {
  if (process.env[name]) {
    return process.env[name];
  }
  if (!values["token-command"]) {
    console.error(`${name} is not set and there is no --token-command`);
    process.exit(2);
  }
  const [program, ...words] = values["token-command"].split(" ").filter(Boolean);
  return execFileSync(program, [...words, ...TOKENS[name]], { encoding: "utf8" }).trim();
}

function inTime(check) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${CHECK_MS} ms`)), CHECK_MS);
  });
  return Promise.race([check(), late]).finally(() => clearTimeout(timer));
}

const relay = {
  url: values.url,
  a: token("TOKEN_A"),
  b: token("TOKEN_B"),
  nothing: token("TOKEN_NOTHING"),
};
let [passed, failed] = [0, 0];
for (const [name, check] of [...connectionChecks(relay), ...deliveryChecks(relay), ...refusalChecks(relay)]) {
  if (!name.includes(values.only)) continue;
  try {
    await inTime(check);
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}: ${error.message}`);
  }
}
console.log(`conformance: ${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
