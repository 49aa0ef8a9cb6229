"""One chat completion by OpenAI's SDK, for every vendor that documents it as a client; the scripts in `sdks` say where.

It is imported by interpreters that have the SDK and nothing of ours, with this folder on their path.
"""

import json
import sys

given = json.loads(sys.argv[1])
"""What is to be asked, and where."""


def ask(client, *, model=None, limit="max_tokens", counted=True):
    """Ask and print what the SDK made of the answer; `limit` is the field for the most tokens of it.

    Without `counted` the usage of a stream is not asked for.
    """
    asked = {
        "model": model or given["model"],
        "messages": [{"role": "system", "content": given["system"]}, {"role": "user", "content": given["prompt"]}],
        limit: given["max_tokens"],
        "temperature": given["temperature"],
    }
    if given["stream"]:
        more = {"stream_options": {"include_usage": True}} if counted else {}
        chunks = list(client.chat.completions.create(**asked, stream=True, **more))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        usage = next((chunk.usage for chunk in reversed(chunks) if chunk.usage), None)
    else:
        done = client.chat.completions.create(**asked)
        text, usage = done.choices[0].message.content, done.usage
    counts = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
    print(json.dumps({"text": text, "input_tokens": counts[0], "output_tokens": counts[1]}))
