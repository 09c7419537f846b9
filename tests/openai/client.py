"""OpenAI's Python client against /v1: what it makes of answers, streams and refusals."""

from array import array

import openai

MODEL = "openai/gpt-says"
client = openai.OpenAI(max_retries=0)
asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How are you?"}]


def refused(kind, code, ask):
    try:
        ask()
    except openai.APIError as error:
        assert type(error) is kind, repr(error)
        assert error.code == code, repr(error)
        return error
    raise AssertionError(f"{kind} was expected")


def read(stream):
    """The text, how it ended, and what it took."""
    text, finish, usage = "", None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish, usage


# A completion, and a conversation that goes on.
raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=asked)
completion, session = raw.parse(), raw.headers["x-session-id"]
assert completion.id.startswith("chatcmpl-") and completion.object == "chat.completion" and completion.model == MODEL
assert completion.choices[0].message.content == "I am fine." and completion.choices[0].message.role == "assistant"
assert completion.choices[0].finish_reason == "stop"
assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (7, 2, 9)
raw = client.chat.completions.with_raw_response.create(
    model=MODEL, messages=asked, max_tokens=5, temperature=0.5, extra_headers={"X-Session-Id": session}
)
assert raw.headers["x-session-id"] == session and raw.parse().id != completion.id

# Streams.
streamed = {"model": MODEL, "messages": asked, "stream": True}
text, finish, usage = read(client.chat.completions.create(**streamed))
assert (text, finish, usage) == ("I am fine.", "stop", None)
text, finish, usage = read(client.chat.completions.create(**streamed, stream_options={"include_usage": True}))
assert (text, finish, usage.total_tokens) == ("I am fine.", "stop", 9)
with client.chat.completions.stream(model=MODEL, messages=asked) as stream:
    assert "".join(event.delta for event in stream if event.type == "content.delta") == "I am fine."
    assert stream.get_final_completion().choices[0].message.content == "I am fine."
breaks_off = client.chat.completions.create(model="gpt-breaks-off", messages=asked, stream=True)
refused(openai.APIError, "truncated", lambda: read(breaks_off))

# Models.
listed = {model.id: model.owned_by for model in client.models.list()}
assert listed == {"openai/gpt-4o-mini": "openai", "rules": "colloquy", "colloquy-hash-256": "colloquy"}, listed
assert client.models.retrieve(MODEL).id == MODEL

# Embeddings.
def embed(**how):
    return client.embeddings.create(model="colloquy-hash-256", input=["brew espresso", "a budget"], **how)

floats = embed(encoding_format="float")
assert [len(item.embedding) for item in floats.data] == [256, 256] and floats.model == "colloquy-hash-256"
assert floats.data[0].index == 0 and floats.data[1].index == 1 and floats.usage.total_tokens == 0
# By itself this client asks for base64, and decodes it: the same numbers to the last bit.
bits = lambda answer: [array("f", item.embedding).tobytes() for item in answer.data]
assert bits(embed()) == bits(floats)
encoded = embed(encoding_format="base64").data[0].embedding
assert isinstance(encoded, str), type(encoded)

# Refusals.
error = refused(openai.NotFoundError, "model_not_found", lambda: client.models.retrieve("gemini/none"))
assert (error.status_code, error.type, error.param) == (404, "invalid_request_error", "model")
error = refused(openai.BadRequestError, "unsupported_parameter", lambda: client.chat.completions.create(model=MODEL, messages=asked, n=2))
assert (error.status_code, error.param) == (400, "n") and error.request_id
# By itself it tries again what fails, but not what is kept.
tries = openai.OpenAI()
assert tries.max_retries == 2
for stream in (False, True):
    error = refused(
        openai.InternalServerError,
        "provider_refused",
        lambda: tries.chat.completions.create(model="gpt-refuses", messages=[{"role": "user", "content": "Refuse me."}], stream=stream),
    )
    assert error.response.headers["x-should-retry"] == "false"
stranger = openai.OpenAI(api_key="sk-of-somebody-else", max_retries=0)
refused(openai.AuthenticationError, "invalid_api_key", lambda: stranger.chat.completions.create(model=MODEL, messages=asked))
refused(openai.AuthenticationError, "invalid_api_key", lambda: stranger.embeddings.create(model="colloquy-hash-256", input="a"))
# From now on the provider takes nothing for a while.
for stream in (False, True):
    error = refused(
        openai.RateLimitError, "rate_limit_exceeded", lambda: client.chat.completions.create(model="gpt-is-limited", messages=asked, stream=stream)
    )
    assert 1 <= int(error.response.headers["retry-after"]) <= 77
print("all is well")
