# requires: ibm-watsonx-ai==1.8.1
# headers: content-type
# needs: tls
"""Chats through IBM's own client: https alone, its project first. Each client has a token of its own, so none is compared."""

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
    "messages": [{"role": "system", "content": given["system"]}, {"role": "user", "content": given["prompt"]}],
    "params": {"max_tokens": given["max_tokens"], "temperature": given["temperature"]},
}
if given["stream"]:
    chunks = list(model.chat_stream(**asked))
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    usage = next(chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage"))
else:
    done = model.chat(**asked)
    text, usage = done["choices"][0]["message"]["content"], done["usage"]
counts = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
print(json.dumps({"text": text, **counts}))
