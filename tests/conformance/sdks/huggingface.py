# requires: huggingface_hub==2.4.0
# headers: authorization, content-type
# differs: body.stream: the client says false where it asks for no stream, which is what leaving it out means
"""The router through Hugging Face's own client; `base_url` stands for the router, as it does for an endpoint."""

import json
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
from huggingface_hub import InferenceClient  # noqa: E402 - files beside this one have names of libraries

given = json.loads(sys.argv[1])
client = InferenceClient(base_url=given["base_url"], api_key="emulated-HF_TOKEN", timeout=20)
asked = {
    "model": given["model"],
    "messages": [{"role": "system", "content": given["system"]}, {"role": "user", "content": given["prompt"]}],
    "max_tokens": given["max_tokens"],
    "temperature": given["temperature"],
}
if given["stream"]:
    chunks = list(client.chat_completion(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    usage = next(chunk.usage for chunk in reversed(chunks) if chunk.usage)
else:
    done = client.chat_completion(**asked)
    text, usage = done.choices[0].message.content, done.usage
print(json.dumps({"text": text, "input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}))
