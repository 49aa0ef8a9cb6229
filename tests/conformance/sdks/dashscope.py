# requires: openai==3.54.0
# headers: authorization, content-type
"""Model Studio's compatible way in through OpenAI's SDK, as the vendor documents it."""

import json
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
from openai import OpenAI  # noqa: E402 - a file beside this one has its name

given = json.loads(sys.argv[1])
client = OpenAI(api_key="emulated-DASHSCOPE_API_KEY", base_url=f"{given['base_url']}/compatible-mode/v1", max_retries=0)
asked = {
    "model": given["model"],
    "messages": [{"role": "system", "content": given["system"]}, {"role": "user", "content": given["prompt"]}],
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
