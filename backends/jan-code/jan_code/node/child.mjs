// The process of one assistant's code in JavaScript: loads `index.js`, tells its tools, and carries out calls. It needs
// nothing but Node. What it is told and answers is described in jan_code/frames.py; calls and runs come one at a time,
// and what belongs to the requests of a run in between.
//
// Started with the numbers of the channel to the server: to read, to write. What the code prints goes to stderr.

import { Worker } from "node:worker_threads";
import { spawnSync } from "node:child_process";
import { readFileSync, writeSync } from "node:fs";
import { basename, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { BadArgument, argumentsOf, toolOf } from "./describing.mjs";
import { Pipe } from "./pipe.mjs";
import { Context, Telling, run } from "./running.mjs";

const LONGEST_ERROR = 1000;
const [incoming, outgoing] = process.argv.slice(2).map(Number);
const exit = process.exit.bind(process);

function send(message) {
  const payload = Buffer.from(JSON.stringify(message), "utf8");
  const header = Buffer.from("jan1\0\0\0\0", "latin1");
  header.writeUInt32BE(payload.length, 4);
  let rest = Buffer.concat([header, payload]);
  try {
    while (rest.length) rest = rest.subarray(writeSync(outgoing, rest));
  } catch {
    exit(0); // the server is gone
  }
}

// Where the code failed, and with what: file and line of the last place in `src`, and the error's message.
function fault(error, given) {
  let file = "";
  let line = 0;
  let told;
  try {
    for (const place of String(error?.stack ?? "").matchAll(/\(?((?:file:\/\/)?\/?[^\s()]+):(\d+):\d+\)?$/gm)) {
      const path = place[1].startsWith("file:") ? fileURLToPath(place[1]) : place[1];
      if (path.startsWith(given.src + sep) && !path.includes(sep + "node_modules" + sep)) {
        [file, line] = [path, Number(place[2])];
        break;
      }
    }
    const name = error instanceof Error ? (error.constructor?.name ?? error.name) : "";
    told = error instanceof Error ? `${name}: ${error.message}` : `it threw ${String(error)}`;
    if (error?.code === "ERR_MODULE_NOT_FOUND" || error?.code === "MODULE_NOT_FOUND") told = told.split(/ imported from |\n/)[0];
  } catch {
    told = "Error"; // its own text may fail, too
  }
  return { file, line, error: told.slice(0, LONGEST_ERROR) };
}

// Node keeps to itself where an error of syntax is, unless it is asked on its command line.
function lineOfSyntax(path) {
  const asked = ["--check", "--input-type=module", "-"];
  const done = spawnSync(process.execPath, asked, { input: readFileSync(path), encoding: "utf8" });
  return Number(/^\[stdin\]:(\d+)/m.exec(done.stderr ?? "")?.[1] ?? 0);
}

// What a function gave, as text for the model: a text as it is, anything else as JSON.
function textOf(value) {
  if (typeof value === "string") return value;
  const plain = (_, one) => {
    if (typeof one === "bigint") return String(one);
    if (one instanceof Set) return [...one];
    if (one instanceof Map) return Object.fromEntries(one);
    return one;
  };
  return JSON.stringify(value, plain) ?? "null";
}

let given;
let ownRun;
let pipe;
const tools = new Map();

async function load(asked) {
  given = asked;
  const told = [];
  try {
    const found = await import(pathToFileURL(given.index).href);
    // What a file without `export` exports is under `default`, and under its own names where Node recognised them.
    const all = { ...(typeof found.default === "object" ? found.default : {}), ...found };
    for (const [name, value] of Object.entries(all)) {
      if (typeof value !== "function" || value.schema === undefined || name === "default") continue;
      try {
        tools.set(name, { call: value, ...toolOf(name, value.schema) });
      } catch (error) {
        told.push(`${name} is not offered as a tool: ${error.message}.`);
      }
    }
    if (typeof all.run === "function" && all.run.schema === undefined) ownRun = all.run;
  } catch (error) {
    const broken = fault(error, given);
    if (error instanceof SyntaxError && !broken.line) [broken.file, broken.line] = [given.index, lineOfSyntax(given.index)];
    return { broken };
  }
  const described = [...tools.values()].map(({ name, description, parameters }) => ({ name, description, parameters }));
  return { tools: described, told, run: ownRun !== undefined };
}

async function call({ number, name, arguments: text }) {
  let output;
  try {
    const tool = tools.get(name);
    if (tool === undefined) throw new BadArgument(`there is no function ${name}`);
    output = textOf(await tool.call(argumentsOf(text, tool.parameters)));
  } catch (error) {
    if (error instanceof BadArgument) return { number, error: error.message };
    const found = fault(error, given);
    return { number, error: found.error + (found.line ? ` (${basename(found.file)}, line ${found.line})` : "") };
  }
  if (Buffer.byteLength(output) > given.output) return { number, error: `${name} gave more than ${given.output} bytes` };
  return { number, output };
}

async function answerRun({ number, context }) {
  pipe = new Pipe(send, given.requests, given.output);
  const telling = new Telling(send, given.output, textOf);
  try {
    await run(ownRun, new Context(context, pipe, telling, given.index), telling);
  } catch (error) {
    return { number, ...fault(error, given) };
  } finally {
    pipe = undefined;
  }
  return { number, output: "" };
}

async function answer(message) {
  if (message.load) return load(message.load);
  return message.run ? answerRun(message.run) : call(message.call);
}

if (outgoing === 1) process.stdout.write = process.stderr.write.bind(process.stderr);

// What the server sends is read in a thread, which notices also while the code is busy that the server is gone.
const few = { codeRangeSizeMb: 16 }; // else some Nodes set half a gigabyte aside for it
const file = new URL("listening.mjs", import.meta.url);
const listening = new Worker(file, { workerData: { incoming }, resourceLimits: few });
let before = Promise.resolve();
listening.on("message", (message) => {
  if (message.load || message.call || message.run) before = before.then(async () => send(await answer(message)));
  else pipe?.take(message);
});
