// openai-node against a server, as its users write it; tells as told.py does.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 120_000 });
const messages = [{ role: "user", content: "Say hello in three words." }];
const asked = [{ role: "user", content: "How is the weather in Hanoi?" }];
const parameters = {
  type: "object",
  properties: { city: { type: "string", enum: ["Hanoi", "Paris"] }, days: { enum: [1, 2, 3] } },
  required: ["city", "days"],
  additionalProperties: false,
};
const tools = [{ type: "function", function: { name: "get_weather", description: "The weather.", parameters } }];

const cases = {
  async chat() {
    return await client.chat.completions.create({ model, messages });
  },

  async streamed() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
  },

  async streamed_helper() {
    const options = { model, messages, stream_options: { include_usage: true } };
    const stream = client.chat.completions.stream(options);
    let text = "";
    stream.on("content", (delta) => (text += delta));
    const final = await stream.finalChatCompletion();
    return { text, final };
  },

  async left_early() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) {
      stream.controller.abort();
      return chunk.object;
    }
  },

  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    return ids;
  },

  async tools() {
    return await client.chat.completions.create({ model, messages: asked, tools, tool_choice: "required" });
  },

  async tools_run() {
    const called = [];
    const weather = {
      type: "function",
      function: {
        name: "get_weather",
        description: "The weather.",
        parameters,
        parse: JSON.parse,
        function: (given) => {
          called.push(given);
          return "warm, 31 degrees";
        },
      },
    };
    const choice = { type: "function", function: { name: "get_weather" } };
    const runner = client.chat.completions.runTools({ model, messages: asked, tools: [weather], tool_choice: choice });
    await runner.done();
    return { called, roles: runner.messages.map((message) => message.role) };
  },

  async structured() {
    const schema = {
      type: "object",
      properties: { kind: { type: "string", enum: ["cat", "dog"] }, tame: { type: "boolean" } },
      required: ["kind", "tame"],
      additionalProperties: false,
    };
    const format = { type: "json_schema", json_schema: { name: "animal", strict: true, schema } };
    const reply = await client.chat.completions.parse({ model, messages, response_format: format });
    return JSON.parse(reply.choices[0].message.content);
  },

  async no_model() {
    return await errorOf({ model: "no-such-model", messages });
  },

  async bad_value() {
    return await errorOf({ model, messages, temperature: 99 });
  },

  async nobody_there() {
    try {
      await client.withOptions({ baseURL: "http://127.0.0.1:9/v1" }).models.list();
    } catch (error) {
      return error instanceof OpenAI.APIConnectionError;
    }
    throw new Error("no error");
  },
};

async function errorOf(request) {
  try {
    await client.chat.completions.create(request);
  } catch (error) {
    const known = error instanceof OpenAI.APIError;
    return { kind: error.constructor.name, known, status: error.status, code: error.code, param: error.param };
  }
  throw new Error("no error");
}

for (const [name, run] of Object.entries(cases)) {
  let said;
  try {
    said = { found: await run() };
  } catch (error) {
    said = { failed: String(error.stack) };
  }
  console.log(JSON.stringify({ case: name, ...said }));
}
