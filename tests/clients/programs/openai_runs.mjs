// openai-node's `beta.threads.runs` and its helpers against a server, as their users write it; tells as told.py does.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 120_000 });
const { assistants, threads } = client.beta;
const { runs } = threads;
const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: {
      type: "object",
      properties: { place: { enum: ["Ulm"] } },
      required: ["place"],
      additionalProperties: false,
    },
  },
};
const tool_choice = { type: "function", function: { name: "weather" } };
const long = { role: "user", content: "Tell a long story about a cat, and go on for many pages." };
const question = { role: "user", content: "Say hello." };

async function answer(thread) {
  const newest = (await threads.messages.list(thread, { limit: 1 })).data[0];
  return { role: newest.role, text: newest.content[0].text.value, run: newest.run_id, status: newest.status };
}
const told = (run) => ({ id: run.id, status: run.status, model: run.model, usage: run.usage !== null });
const shape = (events) => events.filter((one, index) => events[index - 1] !== one);

function heard(stream) {
  const found = { events: [], text: "" };
  stream.on("event", (event) => found.events.push(event.event));
  stream.on("textDelta", (delta) => (found.text += delta.value ?? ""));
  return found;
}

const cases = {
  async polled() {
    const made = await assistants.create({ model, instructions: "Be short." });
    const on = (await threads.create({ messages: [question] })).id;
    const run = await runs.createAndPoll(on, { assistant_id: made.id }, { pollIntervalMs: 50 });
    const steps = (await runs.steps.list(run.id, { thread_id: on })).data;
    const step = await runs.steps.retrieve(steps[0].id, { thread_id: on, run_id: run.id });
    const changed = await runs.update(run.id, { thread_id: on, metadata: { a: "b" } });
    await assistants.delete(made.id);
    return {
      run: told(run),
      answer: await answer(on),
      steps: steps.map((one) => [one.type, one.status]),
      same_step: JSON.stringify(step) === JSON.stringify(steps[0]),
      metadata: changed.metadata,
      listed: (await runs.list(on)).data.map((one) => one.id),
      instructions: run.instructions,
    };
  },

  async streamed() {
    const on = (await threads.create({ messages: [question] })).id;
    const stream = runs.stream(on, { assistant_id: "jan" });
    const found = heard(stream);
    const final = (await stream.finalMessages())[0].content[0].text.value;
    return { events: shape(found.events), text: found.text, final, answer: await answer(on) };
  },

  async made_and_streamed() {
    const stream = threads.createAndRunStream({ assistant_id: "jan", thread: { messages: [question] } });
    const found = heard(stream);
    const run = await stream.finalRun();
    return { events: shape(found.events), text: found.text, answer: await answer(run.thread_id), run: told(run) };
  },

  async called() {
    const on = (await threads.create({ messages: [question] })).id;
    const stream = runs.stream(on, { assistant_id: "jan", tools: [weather], tool_choice });
    const first = heard(stream);
    const run = await stream.finalRun();
    const call = run.required_action.submit_tool_outputs.tool_calls[0];
    const tool_outputs = [{ tool_call_id: call.id, output: "Sunny." }];
    const next = runs.submitToolOutputsStream(run.id, { thread_id: on, tool_outputs });
    const second = heard(next);
    await next.done();
    const step = (await runs.steps.list(run.id, { thread_id: on, order: "asc" })).data[0];
    return {
      first: first.events.at(-1),
      arguments: JSON.parse(call.function.arguments),
      output: step.step_details.tool_calls[0].function.output,
      begins: second.events[0],
      last: second.events.at(-1),
    };
  },

  async polled_unhurried() {
    // Nobody says how long to wait between two looks: the server does.
    const looks = [];
    const watching = (url, init) => {
      if ((init?.method ?? "GET").toUpperCase() === "GET") looks.push(performance.now());
      return fetch(url, init);
    };
    const watched = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 120_000, fetch: watching });
    const on = (await threads.create({ messages: [long] })).id;
    const asked = { assistant_id: "jan", model, max_completion_tokens: 256 };
    const run = await watched.beta.threads.runs.createAndPoll(on, asked);
    const gaps = looks.slice(1).map((one, index) => one - looks[index]);
    return { status: run.status, shortest: Math.min(...gaps) };
  },

  async cancelled() {
    const on = (await threads.create({ messages: [question] })).id;
    const run = await runs.create(on, { assistant_id: "jan", instructions: "Count to ten thousand." });
    const wished = await runs.cancel(run.id, { thread_id: on });
    const ended = await runs.poll(run.id, { thread_id: on }, { pollIntervalMs: 20 });
    return { wished: wished.status, ended: ended.status };
  },

  async errors() {
    const found = {};
    const on = (await threads.create()).id;
    const asked = {
      no_thread: () => runs.create("jan-1-none", { assistant_id: "jan" }),
      no_assistant: () => runs.create(on, { assistant_id: "asst_none" }),
      no_run: () => runs.retrieve("run_none", { thread_id: on }),
    };
    for (const [name, ask] of Object.entries(asked)) {
      try {
        await ask();
      } catch (error) {
        found[name] = { status: error.status, code: error.code, param: error.param };
      }
    }
    return found;
  },
};

for (const [name, run] of Object.entries(cases)) {
  let said;
  try {
    said = { found: await run() };
  } catch (error) {
    said = { failed: String(error.stack ?? error) };
  }
  console.log(JSON.stringify({ case: name, ...said }));
}
