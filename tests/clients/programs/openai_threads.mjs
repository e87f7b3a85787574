// openai-node's `beta.assistants` and `beta.threads` against a server, as their users write it; tells as told.py does.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 120_000 });
const { assistants, threads } = client.beta;
const given = {
  name: "Mathe-Übung ☃",
  description: "Teaches.",
  instructions: "Be short.",
  tools: [
    { type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } },
    { type: "code_interpreter" },
    { type: "file_search", file_search: { max_num_results: 5 } },
  ],
  tool_resources: { code_interpreter: { file_ids: ["file-1"] }, file_search: { vector_store_ids: ["vs_1"] } },
  metadata: { subject: "maths" },
  temperature: 0.5,
  top_p: 0.9,
  response_format: { type: "json_object" },
};

async function all(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}
const ids = (found) => found.map((one) => one.id);

const cases = {
  async assistant() {
    const made = await assistants.create({ model, ...given, reasoning_effort: "low" });
    const found = await assistants.retrieve(made.id);
    const changed = await assistants.update(made.id, { name: "Other", metadata: { a: "b" } });
    const listed = ids(await all(assistants.list({ limit: 1 })));
    const gone = await assistants.delete(made.id);
    return { made, found, changed, listed, gone, left: ids(await all(assistants.list())) };
  },

  async thread() {
    const made = await threads.create({
      messages: [
        { role: "user", content: "one", metadata: { n: "1" } },
        { role: "assistant", content: [{ type: "text", text: "two" }] },
      ],
      metadata: { topic: "numbers" },
      tool_resources: { code_interpreter: { file_ids: ["file-1"] } },
    });
    const said = (await all(threads.messages.list(made.id, { order: "asc" }))).map((one) => one.content[0].text.value);
    const changed = await threads.update(made.id, { metadata: { topic: "letters" } });
    const found = await threads.retrieve(made.id);
    const gone = await threads.delete(made.id);
    return { made, said, changed, found, gone };
  },

  async messages() {
    const on = (await threads.create()).id;
    const made = await threads.messages.create(on, {
      role: "user",
      content: [
        { type: "text", text: "see" },
        { type: "image_url", image_url: { url: "https://images.example/a.png", detail: "low" } },
        { type: "image_file", image_file: { file_id: "file-1", detail: "high" } },
      ],
      attachments: [{ file_id: "file-2", tools: [{ type: "file_search" }, { type: "code_interpreter" }] }],
      metadata: { k: "v" },
    });
    const found = await threads.messages.retrieve(made.id, { thread_id: on });
    const changed = await threads.messages.update(made.id, { thread_id: on, metadata: { new: "pair" } });
    const more = [];
    for (let number = 0; number < 5; number++) {
      more.push((await threads.messages.create(on, { role: "user", content: String(number) })).id);
    }
    const page = await threads.messages.list(on, { limit: 2 });
    const last = page.data.at(-1).id;
    const after = await threads.messages.list(on, { limit: 2, after: last });
    const before = await threads.messages.list(on, { before: last });
    const every = ids(await all(threads.messages.list(on, { limit: 2, order: "asc" })));
    const of_run = await threads.messages.list(on, { run_id: "run_1" });
    const gone = await threads.messages.delete(made.id, { thread_id: on });
    return {
      made,
      found,
      changed,
      more,
      page: ids(page.data),
      after: ids(after.data),
      before: ids(before.data),
      every,
      of_run: ids(of_run.data),
      gone,
      left: ids(await all(threads.messages.list(on))),
    };
  },

  async errors() {
    const on = (await threads.create()).id;
    const told = {};
    for (const [name, ask] of Object.entries({
      no_thread: () => threads.retrieve("jan-1-none"),
      no_message: () => threads.messages.retrieve("msg_none", { thread_id: on }),
      no_assistant: () => assistants.retrieve("asst_none"),
      default: () => assistants.delete("jan"),
      cursor: () => threads.messages.list(on, { after: "msg_none" }),
      metadata: () => threads.update(on, { metadata: { k: "v".repeat(513) } }),
    })) {
      try {
        await ask();
      } catch (error) {
        told[name] = { status: error.status, code: error.code, param: error.param };
      }
    }
    return told;
  },

  async repeated() {
    const on = (await threads.create()).id;
    const headers = { "Idempotency-Key": "a key of the client" };
    const first = await threads.messages.create(on, { role: "user", content: "once" }, { headers });
    const second = await threads.messages.create(on, { role: "user", content: "once" }, { headers });
    let other = null;
    try {
      await threads.messages.create(on, { role: "user", content: "other" }, { headers });
    } catch (error) {
      other = error.code;
    }
    const kept = (await all(threads.messages.list(on))).length;
    return { same: JSON.stringify(first) === JSON.stringify(second), kept, other };
  },
};

for (const [name, run] of Object.entries(cases)) {
  try {
    console.log(JSON.stringify({ case: name, found: await run() }));
  } catch (error) {
    console.log(JSON.stringify({ case: name, failed: String(error.stack ?? error) }));
  }
}
