# requires: botocore==1.44.5
# headers: authorization, content-type, x-amz-security-token
"""InvokeEndpoint and its streaming twin by botocore's own client; the body is TGI's, as Hugging Face documents it."""

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
    "inputs": f"{asked['system']}\n\n{asked['prompt']}",
    # Greedy: a temperature of zero is refused.
    "parameters": {"max_new_tokens": asked["max_tokens"], "details": True, "return_full_text": False},
    "stream": asked["stream"],
}
words = {"EndpointName": asked["model"], "ContentType": "application/json", "Body": json.dumps(body).encode()}
if asked["stream"]:
    parts = client.invoke_endpoint_with_response_stream(**words)["Body"]
    lines = b"".join(part["PayloadPart"]["Bytes"] for part in parts).decode().splitlines()
    last = [json.loads(line[5:]) for line in lines if line.startswith("data:")][-1]
    text, details = last["generated_text"], last["details"]
else:
    answer = json.loads(client.invoke_endpoint(**words)["Body"].read())[0]
    text, details = answer["generated_text"], answer["details"]
counted = {"input_tokens": details.get("input_length"), "output_tokens": details["generated_tokens"]}
print(json.dumps({"text": text, **counted}))
