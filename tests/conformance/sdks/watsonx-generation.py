# requires: ibm-watsonx-ai==1.8.1
# headers: content-type
# needs: tls
"""Text generation through IBM's own client, with the turns as one text, which it leaves to its caller."""

import json
import os
import sys

given = json.loads(sys.argv[1])
os.environ["SSL_CERT_FILE"] = given["ca"]

from ibm_watsonx_ai import APIClient, Credentials  # noqa: E402 - the certificate comes first
from ibm_watsonx_ai.foundation_models import ModelInference  # noqa: E402

origin = given["origin"]
credentials = Credentials(
    url=origin,
    api_key="emulated-WATSONX_APIKEY",
    auth_url=f"{origin}/identity/token",
    platform_url=origin,
    verify=given["ca"],
)
client = APIClient(credentials, project_id=given["words"]["project"])
model = ModelInference(model_id=given["model"], api_client=client, validate=False, max_retries=0)
asked = {
    "prompt": f"{given['system']}\n\n{given['prompt']}",
    "params": {"decoding_method": "greedy", "max_new_tokens": given["max_tokens"]},
}
if given["stream"]:
    results = [chunk["results"][0] for chunk in model.generate_text_stream(**asked, raw_response=True)]
else:
    results = model.generate(**asked)["results"]
counts = {
    "input_tokens": max(result["input_token_count"] for result in results),
    "output_tokens": results[-1]["generated_token_count"],
}
print(json.dumps({"text": "".join(result["generated_text"] for result in results), **counts}))
