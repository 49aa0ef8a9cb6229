# requires: google-genai==3.4.0
# headers: authorization, x-goog-api-key, content-type
"""One answer of Vertex AI by Google's SDK, with a token at hand."""

import json
import sys

from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

given = json.loads(sys.argv[1])
client = genai.Client(
    vertexai=True,
    project=given["words"]["project"],
    location=given["words"]["region"],
    credentials=Credentials(token="emulated-GOOGLE_ACCESS_TOKEN"),
    http_options=types.HttpOptions(
        base_url=given["origin"], api_version="v1", retry_options=types.HttpRetryOptions(attempts=1)
    ),
)
asked = {
    "model": given["model"],
    "contents": given["prompt"],
    "config": types.GenerateContentConfig(
        system_instruction=given["system"],
        max_output_tokens=given["max_tokens"],
        temperature=given["temperature"],
    ),
}
if given["stream"]:
    chunks = list(client.models.generate_content_stream(**asked))
else:
    chunks = [client.models.generate_content(**asked)]
text = "".join(chunk.text or "" for chunk in chunks)
usage = chunks[-1].usage_metadata
out = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
print(json.dumps({"text": text, "input_tokens": usage.prompt_token_count, "output_tokens": out}))
