# requires: dashscope==2.0.2
# headers: authorization, content-type, x-dashscope-sse
"""DashScope's own generation through its own SDK."""

import json
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
import dashscope  # noqa: E402 - a file beside this one has its name

given = json.loads(sys.argv[1])
dashscope.base_http_api_url = f"{given['base_url']}/api/v1"
asked = {
    "api_key": "emulated-DASHSCOPE_API_KEY",
    "model": given["model"],
    "messages": [{"role": "system", "content": given["system"]}, {"role": "user", "content": given["prompt"]}],
    "max_tokens": given["max_tokens"],
    "temperature": given["temperature"],
    "result_format": "message",
}
if given["stream"]:
    replies = list(dashscope.Generation.call(**asked, stream=True, incremental_output=True))
else:
    replies = [dashscope.Generation.call(**asked)]
for reply in replies:
    assert reply.status_code == 200, (reply.code, reply.message)
text = "".join(reply.output.choices[0].message.content for reply in replies)
usage = replies[-1].usage
print(json.dumps({"text": text, "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}))
