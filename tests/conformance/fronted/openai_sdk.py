"""What OpenAI's SDK does with the front: lists, asks, streams, and names what went wrong."""

import json
import sys

import openai

given = json.loads(sys.argv[1])
client = openai.OpenAI(base_url=given["base_url"], api_key=given["token"], max_retries=0)
asked = {"messages": [{"role": "user", "content": given["prompt"]}], "max_tokens": 64}
found = {"models": [model.id for model in client.models.list()], "one": client.models.retrieve(given["model"]).id}
done = client.chat.completions.create(model=given["model"], **asked)
found["text"], found["output_tokens"] = done.choices[0].message.content, done.usage.completion_tokens
chunks = list(client.chat.completions.create(model=given["model"], stream=True, **asked))
found["streamed"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def failure(key, model):
    try:
        openai.OpenAI(base_url=given["base_url"], api_key=key, max_retries=0).chat.completions.create(
            model=model, **asked
        )
    except openai.APIStatusError as error:
        return [
            type(error).__name__,
            error.status_code,
            error.response.headers.get("retry-after"),
            error.body["message"],
        ]


found["wrong key"] = failure("sk-wrong", given["model"])
found["unknown"] = failure(given["token"], "suport")
found["starting"] = failure(given["token"], "starting")
print(json.dumps(found))
