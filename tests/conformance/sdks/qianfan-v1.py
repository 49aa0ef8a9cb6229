# requires: qianfan==0.4.12.3
# headers: content-type
# differs: query.access_token: each side gets a token of its own
# differs: body.extra_parameters: the SDK names itself and its version
# differs: body.stream: the SDK writes false too; without the field it is false
"""Qianfan's version 1 through Baidu's own SDK, which gets the token for the pair of keys as we do."""

import json
import os
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
given = json.loads(sys.argv[1])
os.environ |= {
    "QIANFAN_AK": "emulated-QIANFAN_AK",
    "QIANFAN_SK": "emulated-QIANFAN_SK",
    "QIANFAN_BASE_URL": given["base_url"],
    "QIANFAN_CONSOLE_API_BASE_URL": given["base_url"],
    "QIANFAN_DISABLE_CACHE": "1",
}
import qianfan  # noqa: E402 - it reads the environment

reply = qianfan.ChatCompletion(version="1").do(
    endpoint=given["model"],
    messages=[{"role": "user", "content": given["prompt"]}],
    system=given["system"],
    max_output_tokens=given["max_tokens"],
    temperature=0.01,
    stream=given["stream"],
    retry_count=1,
)
replies = [one.body for one in reply] if given["stream"] else [reply.body]
usage = replies[-1]["usage"]
text = "".join(one["result"] for one in replies)
print(json.dumps({"text": text, "input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}))
