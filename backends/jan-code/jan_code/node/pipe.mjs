// Requests of the code to the server, over the pipe of its process: to the server's own app, in the name of whoever
// asked for the run. So there is no network between, and no key that the code could hold.

import { setMaxListeners } from "node:events";

const HEADERS = new Set(["accept", "content-type", "idempotency-key", "openai-beta", "user-agent"]);
const NO_BODY = new Set([101, 204, 205, 304]);
let number = 0;

// The requests of one run. `send` sends a message to the server; at most `most` are under way, others wait; a body has
// `longest` bytes at most.
export class Pipe {
  #send;
  #most;
  #longest;
  #replies = new Map();
  #waiting = [];

  constructor(send, most, longest) {
    [this.#send, this.#most, this.#longest] = [send, most, longest];
    this.fetch = this.fetch.bind(this);
  }

  // As the `fetch` of the web, but for the host, which does not matter.
  async fetch(input, init) {
    const request = new Request(new URL(input.url ?? input, "http://localhost/"), init ?? (input.url ? input : {}));
    const body = Buffer.from(await request.arrayBuffer());
    if (body.length > this.#longest) {
      throw new TypeError(`the request has ${body.length} bytes, and ${this.#longest} are the most`);
    }
    request.signal.throwIfAborted();
    while (this.#replies.size >= this.#most) await new Promise((free) => this.#waiting.push(free));
    const url = new URL(request.url);
    const headers = [...request.headers].filter(([name]) => HEADERS.has(name.toLowerCase()));
    const mine = ++number;
    const told = { number: mine, method: request.method, path: url.pathname + url.search, headers };
    return await new Promise((resolve, reject) => {
      const reply = { resolve, reject, stream: undefined, left: false };
      this.#replies.set(mine, reply);
      const leave = (why) => {
        if (reply.left || !this.#replies.has(mine)) return;
        reply.left = true;
        this.#send({ leave: { number: mine } });
        reject(why);
        reply.stream?.error(why);
      };
      reply.leave = leave;
      setMaxListeners(0, request.signal);
      request.signal.addEventListener("abort", () => leave(request.signal.reason), { once: true });
      this.#send({ request: { ...told, body: body.toString("latin1") } });
    });
  }

  // Takes what the server sent of a reply.
  take(message) {
    for (const [kind, told] of Object.entries(message)) {
      const reply = this.#replies.get(told.number);
      if (reply === undefined) continue;
      if (kind === "reply") reply.resolve(this.#response(reply, told));
      else if (kind === "piece" && !reply.left) reply.stream?.enqueue(new Uint8Array(Buffer.from(told.bytes, "latin1")));
      else if (kind === "end") this.#end(reply, told);
    }
  }

  #response(reply, { status, headers }) {
    const body = new ReadableStream({
      start: (controller) => void (reply.stream = controller),
      cancel: (why) => {
        reply.stream = undefined;
        reply.leave(why);
      },
    });
    return new Response(NO_BODY.has(status) ? null : body, { status, headers });
  }

  #end(reply, { number: mine, error }) {
    this.#replies.delete(mine);
    this.#waiting.shift()?.();
    if (reply.left) return;
    if (error === undefined) reply.stream?.close();
    else {
      reply.reject(new TypeError(error));
      reply.stream?.error(new TypeError(error));
    }
  }
}
