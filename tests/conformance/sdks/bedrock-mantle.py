# requires: openai==3.54.0
# headers: authorization, content-type
# differs: body.stream_options: we ask for the usage of a stream, the SDK leaves it to its caller
"""Bedrock's OpenAI-compatible door by OpenAI's own client, as AWS documents it."""

import json
import sys

from openai import OpenAI

asked = json.loads(sys.argv[1])
client = OpenAI(api_key="emulated-AWS_BEARER_TOKEN_BEDROCK", base_url=f"{asked['base_url']}/v1", max_retries=0)
answer = client.chat.completions.create(
    model=asked["model"],
    messages=[{"role": "system", "content": asked["system"]}, {"role": "user", "content": asked["prompt"]}],
    max_tokens=asked["max_tokens"],
    temperature=asked["temperature"],
    **({"stream": True} if asked["stream"] else {}),
)
if asked["stream"]:
    text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    print(json.dumps({"text": text, "input_tokens": None, "output_tokens": None}))
else:
    usage = answer.usage
    said = answer.choices[0].message.content
    print(json.dumps({"text": said, "input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}))
