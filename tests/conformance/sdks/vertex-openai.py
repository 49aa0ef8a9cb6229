# requires: openai==3.54.0
# headers: authorization, content-type
"""One chat completion of Vertex AI by OpenAI's SDK, as Google documents it: a token for a key, the model with its publisher."""

import json
import sys

import openai

given = json.loads(sys.argv[1])
place = f"projects/{given['words']['project']}/locations/{given['words']['region']}/endpoints/openapi"
client = openai.OpenAI(api_key="emulated-GOOGLE_ACCESS_TOKEN", base_url=f"{given['base_url']}/{place}", max_retries=0)
asked = {
    "model": f"google/{given['model']}",
    "messages": [
        {"role": "system", "content": given["system"]},
        {"role": "user", "content": given["prompt"]},
    ],
    "max_tokens": given["max_tokens"],
    "temperature": given["temperature"],
}
if given["stream"]:
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    usage = next(chunk.usage for chunk in reversed(chunks) if chunk.usage)
else:
    done = client.chat.completions.create(**asked)
    text, usage = done.choices[0].message.content, done.usage
print(json.dumps({"text": text, "input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}))
