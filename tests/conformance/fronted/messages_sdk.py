"""What Anthropic's SDK does with the front, for a server that answers messages itself."""

import json
import sys

import anthropic

given = json.loads(sys.argv[1])
base_url = given["base_url"].removesuffix("/v1")
client = anthropic.Anthropic(base_url=base_url, api_key=given["token"], max_retries=0)
asked = {"messages": [{"role": "user", "content": given["prompt"]}], "max_tokens": 64}
found = {"models": [model.id for model in client.models.list()]}
done = client.messages.create(model=given["model"], **asked)
found["text"], found["output_tokens"] = "".join(part.text for part in done.content), done.usage.output_tokens
with client.messages.stream(model=given["model"], **asked) as stream:
    found["streamed"] = "".join(stream.text_stream)


def failure(key, model):
    try:
        anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0).messages.create(model=model, **asked)
    except anthropic.APIStatusError as error:
        told = error.body["error"]
        return [type(error).__name__, error.status_code, error.response.headers.get("retry-after"), told["message"]]


found["wrong key"] = failure("sk-wrong", given["model"])
found["unknown"] = failure(given["token"], "suport")
found["starting"] = failure(given["token"], "starting")
print(json.dumps(found))
