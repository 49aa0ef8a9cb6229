# requires: ibm-watsonx-ai==1.8.1
"""The types of IBM's Node library, which are made from its OpenAPI document: no other field, none left out, no other type.

They come from npm, which must be installed, once for each environment.
"""

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

LIBRARY = "@ibm-cloud/watsonx-ai@1.7.16"
METHODS = {
    "/ml/v1/text/chat": "textChat",
    "/ml/v1/text/chat_stream": "textChatStream",
    "/ml/v1/text/generation": "generateText",
    "/ml/v1/text/generation_stream": "generateTextStream",
}
KINDS = {"string": str, "number": (int, float), "boolean": bool, "string[]": list}
ROLES = {"system", "user", "assistant", "tool"}


def library() -> tuple[str, str]:
    """Its code and its types."""
    kept = Path(sys.prefix, "watsonx-ai.tgz")
    if not kept.exists():
        told = subprocess.run(["npm", "pack", "--silent", LIBRARY], cwd=sys.prefix, check=True, capture_output=True)
        Path(sys.prefix, told.stdout.decode().split()[-1]).rename(kept)
    with tarfile.open(kept) as packed:
        names = ("package/dist/watsonx-ai-ml/vml_v1.js", "package/types/vml_v1.d.ts")
        code, types = (packed.extractfile(name).read().decode() for name in names)
    return code, types


CODE, TYPES = library()


def method(name: str) -> tuple[dict[str, str], list[str]]:
    """What one of its methods sends, by the name of its parameter, and which of them it requires."""
    found = re.search(rf"\n    {name}\(.*?const body = \{{(.*?)\}};", CODE, re.DOTALL)
    required = re.search(rf"\n    {name}\(.*?requiredParams = \[(.*?)\]", CODE, re.DOTALL)
    sent = dict(re.findall(r"'(\w+)': (?:_?params\.)?(\w+)", found[1]))
    return sent, re.findall(r"'(\w+)'", required[1])


def typed(interface: str) -> dict[str, str]:
    """Fields of an interface and their types."""
    found = re.search(rf"interface {interface} (?:extends [^{{]*)?\{{(.*?)\n\}}", TYPES, re.DOTALL)
    return dict(re.findall(r"\n    (\w+)\??: ([^;]+);", found[1]))


def wrong(given: dict[str, object], types: dict[str, str], names: dict[str, str]) -> list[str]:
    """Fields that are unknown, or of another type."""
    told = [f"{name} is not known" for name in given if name not in names]
    for name in set(given) & set(names):
        kind = KINDS.get(types.get(names[name], ""))
        if kind and not (isinstance(given[name], kind) and (kind is bool) == isinstance(given[name], bool)):
            told.append(f"{name} is no {types[names[name]]}")
    return told


def violations(request: dict[str, str]) -> list[str]:
    """What is wrong with one request."""
    if request["path"] not in METHODS or request["method"] != "POST":
        return [f"{request['method']} {request['path']} is none of its methods"]
    body, (names, required) = json.loads(request["body"]), method(METHODS[request["path"]])
    chats = "chat" in request["path"]
    types = typed("TextChatParameters") | typed("TextChatParams") if chats else typed("TextGenerationParams")
    told = wrong(body, types, names)
    told += [f"{name} is missing" for name in names if names[name] in required and name not in body]
    if not re.fullmatch(r"version=\d{4}-\d{2}-\d{2}", request["query"]):
        told.append(f"query {request['query']!r}")
    told += [f"role {turn['role']}" for turn in body.get("messages", ()) if turn["role"] not in ROLES]
    parameters = typed("TextGenParameters")
    inner = body.get("parameters", {})
    plain = {
        name: kind.replace("TextGenParameters.Constants.DecodingMethod | ", "") for name, kind in parameters.items()
    }
    return told + wrong(inner, plain, {name: name for name in parameters})


print(json.dumps([one for request in json.load(sys.stdin) for one in violations(request)]))
