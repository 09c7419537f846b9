// OpenAI's JavaScript client against /v1: what it makes of answers, streams and refusals.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { default: OpenAI } = await import(createRequire(`${process.env.OPENAI_CLIENT}/`).resolve("openai"));

const model = "openai/gpt-says";
const client = new OpenAI({ maxRetries: 0 });
const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "How are you?" }];

async function refused(kind, code, ask) {
    try {
        await ask();
    } catch (error) {
        assert(error.constructor === kind, String(error));
        assert.equal(error.code, code);
        return error;
    }
    assert.fail(`${kind.name} was expected`);
}

// The text, how it ended, and what it took.
async function read(stream) {
    let [text, finish, usage] = ["", null, null];
    for await (const chunk of stream) {
        usage = chunk.usage ?? usage;
        for (const choice of chunk.choices) {
            text += choice.delta.content ?? "";
            finish = choice.finish_reason ?? finish;
        }
    }
    return [text, finish, usage];
}

// A completion, and a conversation that goes on.
const { data: completion, response } = await client.chat.completions.create({ model, messages }).withResponse();
const session = response.headers.get("x-session-id");
assert.equal(completion.object, "chat.completion");
assert.equal(completion.choices[0].message.content, "I am fine.");
assert.equal(completion.choices[0].finish_reason, "stop");
assert.deepEqual(completion.usage, { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
const headers = { "X-Session-Id": session };
const next = await client.chat.completions.create({ model, messages, max_completion_tokens: 5 }, { headers }).withResponse();
assert.equal(next.response.headers.get("x-session-id"), session);

// Streams.
const streamed = { model, messages, stream: true };
assert.deepEqual(await read(await client.chat.completions.create(streamed)), ["I am fine.", "stop", null]);
const counted = await read(await client.chat.completions.create({ ...streamed, stream_options: { include_usage: true } }));
assert.deepEqual(counted, ["I am fine.", "stop", { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }]);
const final = await client.chat.completions.stream({ model, messages }).finalChatCompletion();
assert.equal(final.choices[0].message.content, "I am fine.");
const breaksOff = { ...streamed, model: "gpt-breaks-off" };
await refused(OpenAI.APIError, "truncated", async () => read(await client.chat.completions.create(breaksOff)));

// Models.
const listed = [];
for await (const { id, owned_by } of client.models.list()) listed.push([id, owned_by]);
assert.deepEqual(listed, [["openai/gpt-4o-mini", "openai"], ["rules", "colloquy"], ["colloquy-hash-256", "colloquy"]]);
assert.equal((await client.models.retrieve(model)).id, model);

// Embeddings: by itself this client asks for base64, and decodes it.
const embed = (how) => client.embeddings.create({ model: "colloquy-hash-256", input: ["brew espresso", "a budget"], ...how });
const [floats, decoded] = [await embed({ encoding_format: "float" }), await embed({})];
assert.deepEqual(floats.data.map(({ embedding, index }) => [embedding.length, index]), [[256, 0], [256, 1]]);
const bits = ({ data }) => data.map(({ embedding }) => [...new Float32Array(embedding)]);
assert.deepEqual(bits(decoded), bits(floats));

// A page may send what this client sends: a browser asks beforehand.
const sent = [];
const seen = new OpenAI({ fetch: (url, init) => (sent.push([url, [...new Headers(init.headers).keys()]]), fetch(url, init)) });
await seen.chat.completions.create({ model, messages }, { headers: { "OpenAI-Organization": "org-1" } });
const [[url, headersSent]] = sent;
assert(headersSent.includes("x-stainless-lang") && headersSent.includes("openai-organization"), headersSent);
const asks = { Origin: "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headersSent.join() };
const told = await fetch(url, { method: "OPTIONS", headers: asks });
assert.deepEqual([told.status, told.headers.get("access-control-allow-origin")], [204, "https://app.example"]);
assert.deepEqual(told.headers.get("access-control-allow-headers").split(","), headersSent);

// Refusals.
const unknown = await refused(OpenAI.NotFoundError, "model_not_found", () => client.models.retrieve("gemini/none"));
assert.deepEqual([unknown.status, unknown.type, unknown.param], [404, "invalid_request_error", "model"]);
const twice = await refused(OpenAI.BadRequestError, "unsupported_parameter", () => client.chat.completions.create({ model, messages, n: 2 }));
assert.equal(twice.param, "n");
// By itself it tries again what fails, but not what is kept.
const tries = new OpenAI();
assert.equal(tries.maxRetries, 2);
for (const stream of [false, true]) {
    const asked = { model: "gpt-refuses", messages: [{ role: "user", content: "Refuse me." }], stream };
    const error = await refused(OpenAI.InternalServerError, "provider_refused", () => tries.chat.completions.create(asked));
    assert.equal(error.headers.get("x-should-retry"), "false");
}
const stranger = new OpenAI({ apiKey: "sk-of-somebody-else", maxRetries: 0 });
await refused(OpenAI.AuthenticationError, "invalid_api_key", () => stranger.chat.completions.create({ model, messages }));
// From now on the provider takes nothing for a while.
for (const stream of [false, true]) {
    const limited = { model: "gpt-is-limited", messages, stream };
    const error = await refused(OpenAI.RateLimitError, "rate_limit_exceeded", () => client.chat.completions.create(limited));
    assert(Number(error.headers.get("retry-after")) >= 1);
}
console.log("all is well");
