// An assistant's own `run`: what it is given, and what becomes of what it yields.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const URL_OF_SERVER = "http://localhost/v1";
const TOOLS = ["tools", "tool_choice", "parallel_tool_calls"];
const MISSING =
  "context.client() is OpenAI's client, which is not there: name `openai` in the assistant's package.json, and run " +
  "`jan assistants install`. context.ask() needs no packages";

function shown(value) {
  let text;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    return "something";
  }
  return text.length <= 100 ? text : text.slice(0, 100) + "…";
}

// What a run says and does, on its way to the server; all of it has `longest` bytes at most.
export class Telling {
  #send;
  #longest;
  #textOf;
  #said = 0;

  constructor(send, longest, textOf) {
    [this.#send, this.#longest, this.#textOf] = [send, longest, textOf];
  }

  say(text) {
    if (!text) return;
    this.#count(text);
    this.#send({ say: { text } });
  }

  step(name, given, result) {
    if (typeof name !== "string" || !NAME.test(name)) {
      throw new Error(`a step is called ${shown(name)}, and may have letters A to Z, digits, '_' and '-' only`);
    }
    const told = { name, arguments: this.#textOf(given ?? {}), output: this.#textOf(result) };
    this.#count(told.name + told.arguments + told.output);
    this.#send({ step: told });
  }

  // Tells what `run` yielded: nothing, a text, a chunk of a chat, or an event of a run.
  take(given) {
    const kind = String(given?.object ?? given?.event ?? "");
    if (given === undefined || given === null || typeof given === "string") this.say(given ?? "");
    else if (kind === "chat.completion.chunk" || kind === "chat.completion") {
      const choice = given.choices[0];
      this.say((choice?.delta ?? choice?.message)?.content ?? "");
    } else if (kind.startsWith("thread.") || kind === "done") this.#event(kind, given.data);
    else throw new Error(`run yielded ${shown(given)}; it may yield texts, chunks of a chat and events of a run`);
  }

  #event(kind, data) {
    if (kind === "thread.message.delta") {
      for (const part of data.delta.content ?? []) if (part.type === "text") this.say(part.text?.value ?? "");
    } else if (kind === "thread.run.step.completed" && data.type === "tool_calls") {
      for (const one of data.step_details.tool_calls) {
        if (one.type === "function") this.step(one.function.name, one.function.arguments, one.function.output ?? "");
      }
    } else if (/^thread\.run\.(failed|expired|cancelled|requires_action)$/.test(kind)) {
      const why = data.last_error?.message;
      throw new Error(`the run ${data.id}, whose events it passed on, is ${data.status}: ${why}`);
    }
  }

  #count(text) {
    this.#said += Buffer.byteLength(text);
    if (this.#said > this.#longest) throw new Error(`it gave more than ${this.#longest} bytes`);
  }
}

// What `run` gets: `thread`, `assistant`, `run`, `messages`, `request`, `tools` as jan_code/running.py has them.
export class Context {
  #pipe;
  #telling;
  #index;

  constructor(given, pipe, telling, index) {
    Object.assign(this, given);
    [this.#pipe, this.#telling, this.#index] = [pipe, telling, index];
    this.fetch = pipe.fetch;
  }

  // OpenAI's official client, whose server is this one.
  async client() {
    let found;
    try {
      found = createRequire(this.#index).resolve("openai");
    } catch {
      throw new Error(MISSING);
    }
    const { OpenAI } = await import(pathToFileURL(found).href);
    return new OpenAI({ baseURL: URL_OF_SERVER, apiKey: "none", fetch: this.fetch });
  }

  // Asks the assistant's model, and gives its answer piece by piece; the older half of a conversation that does not
  // fit the model's context is left out, until it does.
  async *ask(instructions = "", changes = {}) {
    const kept = Object.entries(this.request).filter(([name]) => !TOOLS.includes(name));
    const asked = { ...Object.fromEntries(kept), ...changes, stream: true };
    if (instructions) asked.messages = instructed(asked.messages, instructions);
    for (;;) {
      const headers = { "content-type": "application/json" };
      const path = `${URL_OF_SERVER}/chat/completions`;
      const reply = await this.fetch(path, { method: "POST", headers, body: JSON.stringify(asked) });
      if (reply.status === 200) return yield* texts(reply.body);
      const { error } = await reply.json();
      const fewer = shorter(asked.messages);
      const tooLong = error.code === "context_length_exceeded" && changes.messages === undefined;
      if (!tooLong || fewer.length === asked.messages.length) throw new Error(error.message);
      asked.messages = fewer;
    }
  }

  // Adds a step to the run that shows what was done. What was said before it is a message of its own.
  step(name, given, result) {
    this.#telling.step(name, given, result);
  }
}

// Runs an assistant's own `run` to its end, and tells what it says.
export async function run(work, context, telling) {
  const given = work(context);
  if (typeof given?.[Symbol.asyncIterator] !== "function" && typeof given?.[Symbol.iterator] !== "function") {
    telling.take(await given);
  } else if (typeof given === "string") telling.take(given);
  else for await (const one of given) telling.take(one);
}

async function* texts(body) {
  let rest = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const event = JSON.parse(line.slice(6));
      if (event.error) throw new Error(event.error.message);
      const text = event.choices[0]?.delta.content;
      if (text) yield text;
    }
  }
}

function instructed(messages, instructions) {
  const [first, ...rest] = messages;
  if (first?.role !== "system" || typeof first.content !== "string") {
    return [{ role: "system", content: instructions }, ...messages];
  }
  return [{ ...first, content: `${first.content}\n\n${instructions}` }, ...rest];
}

// The messages without the older half of them: instructions stay, and the newest of a user and what follows it.
function shorter(messages) {
  const first = messages[0]?.role === "system" ? 1 : 0;
  const user = messages.findLastIndex((one) => one.role === "user");
  const last = user < 0 ? messages.length - 1 : user;
  const half = first + Math.floor((messages.length - first + 1) / 2);
  return [...messages.slice(0, first), ...messages.slice(Math.min(last, half))];
}
