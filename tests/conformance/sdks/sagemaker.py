# requires: botocore==1.44.5
# headers: authorization, content-type, x-amz-security-token
"""InvokeEndpoint and its streaming twin by botocore's own client; the body is OpenAI's chat, as vLLM documents it."""

import json
import sys

from botocore.config import Config
from botocore.session import Session

asked = json.loads(sys.argv[1])
client = Session().create_client(
    "sagemaker-runtime",
    region_name=asked["words"]["region"],
    endpoint_url=asked["base_url"],
    aws_access_key_id="emulated-AWS_ACCESS_KEY_ID",
    aws_secret_access_key="emulated-AWS_SECRET_ACCESS_KEY",
    aws_session_token="emulated-AWS_SESSION_TOKEN",
    config=Config(retries={"total_max_attempts": 1}),
)
body = {
    "messages": [{"role": "system", "content": asked["system"]}, {"role": "user", "content": asked["prompt"]}],
    "max_tokens": asked["max_tokens"],
    "temperature": asked["temperature"],
}
if asked["stream"]:
    body |= {"stream": True, "stream_options": {"include_usage": True}}
words = {"EndpointName": asked["model"], "ContentType": "application/json", "Body": json.dumps(body).encode()}
if asked["stream"]:
    parts = client.invoke_endpoint_with_response_stream(**words)["Body"]
    lines = b"".join(part["PayloadPart"]["Bytes"] for part in parts).decode().splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    usage = chunks[-1]["usage"]
else:
    answer = json.loads(client.invoke_endpoint(**words)["Body"].read())
    text, usage = answer["choices"][0]["message"]["content"], answer["usage"]
print(json.dumps({"text": text, "input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}))
