# requires: tencentcloud-sdk-python-lkeap==3.1.173
# headers: authorization, content-type, x-tc-action, x-tc-version, x-tc-token
"""The knowledge engine's signed chat through Tencent's own SDK."""

import json
import sys

from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.lkeap.v20240522 import lkeap_client, models

given = json.loads(sys.argv[1])
keys = [f"emulated-TENCENTCLOUD_{name}" for name in ("SECRET_ID", "SECRET_KEY", "TOKEN")]
profile = HttpProfile(protocol="http", endpoint=given["origin"].partition("://")[2])
client = lkeap_client.LkeapClient(Credential(*keys), "", ClientProfile(httpProfile=profile))
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
            "MaxTokens": given["max_tokens"],
            "Stream": given["stream"],
        }
    )
)
reply = client.ChatCompletions(request)
if given["stream"]:
    events = [json.loads(event["data"]) for event in reply if event["data"] != "[DONE]"]
    text = "".join(event["Choices"][0]["Delta"].get("Content", "") for event in events)
    into, out = events[-1]["Usage"]["InputTokens"], events[-1]["Usage"]["OutputTokens"]
else:
    text, into, out = reply.Choices[0].Message.Content, reply.Usage.PromptTokens, reply.Usage.CompletionTokens
print(json.dumps({"text": text, "input_tokens": into, "output_tokens": out}))
