# requires: openai==3.54.0
# headers: authorization, api-key, content-type
# differs: header.api-key: Azure documents this header for keys and the SDK's bearer too; its emulator verified both
# differs: header.authorization: the SDK sends the key as a bearer, as said above
"""OpenAI's SDK at `/openai/v1`, as Azure documents it: AzureOpenAI itself knows the dated way alone."""

import json
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
from openai import OpenAI  # noqa: E402 - a file beside this one has its name

given = json.loads(sys.argv[1])
client = OpenAI(base_url=given["origin"] + "/openai/v1/", api_key="emulated-AZURE_OPENAI_API_KEY", max_retries=0)
turns = [{"role": "system", "content": given["system"]}, {"role": "user", "content": given["prompt"]}]
options = {
    "model": given["model"],
    "messages": turns,
    "temperature": given["temperature"],
    "max_completion_tokens": given["max_tokens"],
}
if given["stream"]:
    text, usage = "", None
    for chunk in client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
else:
    done = client.chat.completions.create(**options)
    text, usage = done.choices[0].message.content, done.usage
print(json.dumps({"text": text, "input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}))
