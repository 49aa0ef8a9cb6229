# requires: tencentcloud-sdk-python-hunyuan==3.1.180
# headers: authorization, content-type, x-tc-action, x-tc-version, x-tc-token
"""Hunyuan's signed chat through Tencent's own SDK."""

import json
import sys

from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.hunyuan.v20230901 import hunyuan_client, models

given = json.loads(sys.argv[1])
keys = [f"emulated-TENCENTCLOUD_{name}" for name in ("SECRET_ID", "SECRET_KEY", "TOKEN")]
profile = HttpProfile(protocol="http", endpoint=given["origin"].partition("://")[2])
client = hunyuan_client.HunyuanClient(Credential(*keys), "", ClientProfile(httpProfile=profile))
request = models.ChatCompletionsRequest()
request.from_json_string(
    json.dumps(
        {
            "Model": given["model"],
            "Messages": [
                {"Role": "system", "Content": given["system"]},
                {"Role": "user", "Content": given["prompt"]},
            ],
            "Temperature": given["temperature"],
            "Stream": given["stream"],
        }
    )
)
reply = client.ChatCompletions(request)
if given["stream"]:
    events = [json.loads(event["data"]) for event in reply]
    text = "".join(event["Choices"][0]["Delta"]["Content"] for event in events)
    into, out = events[-1]["Usage"]["PromptTokens"], events[-1]["Usage"]["CompletionTokens"]
else:
    text, into, out = reply.Choices[0].Message.Content, reply.Usage.PromptTokens, reply.Usage.CompletionTokens
print(json.dumps({"text": text, "input_tokens": into, "output_tokens": out}))
