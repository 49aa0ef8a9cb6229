# requires: replicate==1.0.7
# headers: authorization, content-type, prefer
"""Predictions through Replicate's own client: waited for, or streamed and then looked at for their counts."""

import json
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
from replicate.client import Client  # noqa: E402 - this file has its name

given = json.loads(sys.argv[1])
client = Client(api_token="emulated-REPLICATE_API_TOKEN", base_url=given["base_url"])
asked = {
    "prompt": given["prompt"],
    "system_prompt": given["system"],
    "max_tokens": given["max_tokens"],
    "temperature": given["temperature"],
}
if given["stream"]:
    prediction = client.models.predictions.create(model=given["model"], input=asked, stream=True)
    text = "".join(str(event) for event in prediction.stream())
    prediction.reload()
else:
    prediction = client.models.predictions.create(model=given["model"], input=asked, wait=True)
    text = "".join(prediction.output)
metrics = prediction.metrics
counts = {"input_tokens": metrics["input_token_count"], "output_tokens": metrics["output_token_count"]}
print(json.dumps({"text": text, **counts}))
