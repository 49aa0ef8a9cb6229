# requires: tccli==3.1.189.1
"""Tencent's own description of Hunyuan's and the knowledge engine's chat: every member known, needed, of its type."""

import json
import sys
from importlib.resources import files

SERVICES = {"2023-09-01": "hunyuan/v20230901", "2024-05-22": "lkeap/v20240522"}
TYPES = {"string": (str,), "bool": (bool,), "float": (int, float), "int": (int,)}


def described(version):
    return json.loads((files("tccli") / "services" / SERVICES[version] / "api.json").read_text())


def check(objects, kind, value, path):
    """Violations of `value` as an object of `kind`."""
    if not isinstance(value, dict):
        return [f"{path}: an object is expected"]
    members = {member["name"]: member for member in objects[kind]["members"]}
    found = [f"{path}.{name}: unknown" for name in value if name not in members]
    found += [f"{path}.{name}: missing" for name, one in members.items() if one.get("required") and name not in value]
    for name, inner in value.items():
        if name in members:
            found += one_member(objects, members[name], inner, f"{path}.{name}")
    return found


def one_member(objects, member, value, path):
    if member["type"] == "list":
        if not isinstance(value, list):
            return [f"{path}: a list is expected"]
        inner = {**member, "type": "object" if member["member"] in objects else scalar(member["member"])}
        return [said for n, each in enumerate(value) for said in one_member(objects, inner, each, f"{path}.{n}")]
    if member["type"] == "object":
        return check(objects, member["member"], value, path)
    wrong = not isinstance(value, TYPES[member["type"]]) or (isinstance(value, bool) and member["type"] != "bool")
    return [f"{path}: {member['type']} is expected, not {value!r}"] if wrong else []


def scalar(name):
    return "int" if name.endswith("int64") else name


violations = []
for request in json.load(sys.stdin):
    headers = {name.lower(): value for name, value in request["headers"].items()}
    api = described(headers["x-tc-version"])
    action = api["actions"].get(headers["x-tc-action"])
    if action is None:
        violations.append(f"X-TC-Action: {headers['x-tc-action']} is unknown")
        continue
    violations += check(api["objects"], action["input"], json.loads(request["body"]), "body")
print(json.dumps(violations))
