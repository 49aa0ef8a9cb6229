# requires: anthropic==0.125.0
# headers: authorization, x-api-key, anthropic-version, content-type
"""One message by the last generation of Anthropic's SDK that speaks version 2023-06-01 of the API."""

import json
import sys

import anthropic

given = json.loads(sys.argv[1])
client = anthropic.Anthropic(api_key="emulated-ANTHROPIC_API_KEY", base_url=given["base_url"], max_retries=0)
asked = {
    "model": given["model"],
    "max_tokens": given["max_tokens"],
    "temperature": given["temperature"],
    "system": given["system"],
    "messages": [{"role": "user", "content": given["prompt"]}],
}
if given["stream"]:
    with client.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
else:
    message = client.messages.create(**asked)
    text = "".join(block.text for block in message.content if block.type == "text")
usage = message.usage
read = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
print(json.dumps({"text": text, "input_tokens": usage.input_tokens + read, "output_tokens": usage.output_tokens}))
