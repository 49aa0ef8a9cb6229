# requires: qianfan==0.4.12.3
# headers: authorization, content-type
# differs: body.extra_parameters: the SDK names itself and its version
# differs: body.stream: the SDK writes false too; without the field it is false
"""Qianfan's version 2 through Baidu's own SDK."""

import json
import os
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
given = json.loads(sys.argv[1])
os.environ["QIANFAN_DISABLE_CACHE"] = "1"
from qianfan import Qianfan  # noqa: E402 - this file has its name

client = Qianfan(api_key="emulated-QIANFAN_API_KEY", console_api_base_url=given["base_url"], retry_count=1)
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
