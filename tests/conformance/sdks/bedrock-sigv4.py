# requires: botocore==1.44.5
# headers: authorization, content-type, x-amz-security-token
"""Converse and ConverseStream by botocore's own client, signed with keys that are lent."""

import json
import os
import sys

asked = json.loads(sys.argv[1])
os.environ.pop("AWS_BEARER_TOKEN_BEDROCK", None)

from botocore.config import Config  # noqa: E402
from botocore.session import Session  # noqa: E402

client = Session().create_client(
    "bedrock-runtime",
    region_name=asked["words"]["region"],
    endpoint_url=asked["base_url"],
    aws_access_key_id="emulated-AWS_ACCESS_KEY_ID",
    aws_secret_access_key="emulated-AWS_SECRET_ACCESS_KEY",
    aws_session_token="emulated-AWS_SESSION_TOKEN",
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
