# requires: google-genai==3.4.0
# headers: x-goog-api-key, authorization, content-type
"""One answer of the Gemini API by Google's SDK, whose address is ours without the version."""

import json
import sys

from google import genai
from google.genai import types

given = json.loads(sys.argv[1])
client = genai.Client(
    api_key="emulated-GEMINI_API_KEY",
    http_options=types.HttpOptions(base_url=given["origin"], retry_options=types.HttpRetryOptions(attempts=1)),
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
