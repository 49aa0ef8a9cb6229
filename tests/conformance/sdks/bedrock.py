# requires: botocore==1.44.5
# headers: authorization, content-type
# needs: tls
"""Converse and ConverseStream by botocore's own client, with an API key, which it sends over TLS alone."""

import json
import os
import sys

asked = json.loads(sys.argv[1])
os.environ["AWS_BEARER_TOKEN_BEDROCK"] = "emulated-AWS_BEARER_TOKEN_BEDROCK"

from botocore.config import Config  # noqa: E402
from botocore.session import Session  # noqa: E402

client = Session().create_client(
    "bedrock-runtime",
    region_name=asked["words"]["region"],
    endpoint_url=asked["base_url"],
    verify=asked["ca"],
    config=Config(retries={"total_max_attempts": 1}),
)
words = {
    "modelId": asked["model"],
    "system": [{"text": asked["system"]}],
    "messages": [{"role": "user", "content": [{"text": asked["prompt"]}]}],
    "inferenceConfig": {"maxTokens": asked["max_tokens"], "temperature": asked["temperature"]},
}
if asked["stream"]:
    text, usage = "", {}
    for event in client.converse_stream(**words)["stream"]:
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        usage = event.get("metadata", {}).get("usage", usage)
else:
    answer = client.converse(**words)
    text, usage = answer["output"]["message"]["content"][0]["text"], answer["usage"]
print(json.dumps({"text": text, "input_tokens": usage["inputTokens"], "output_tokens": usage["outputTokens"]}))
