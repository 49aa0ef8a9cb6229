# requires: botocore==1.44.5
"""Every request that was made of Converse, held against the shape that AWS publishes in botocore's model."""

import json
import re
import sys
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

OPERATIONS = {"converse": "Converse", "converse-stream": "ConverseStream"}
service = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


def violations(request):
    found = re.fullmatch(r"/model/([^/]+)/(converse(?:-stream)?)", request["path"])
    if found is None:
        return [f"{request['path']} is the path of neither operation"]
    operation = service.operation_model(OPERATIONS[found[2]])
    given = {**json.loads(request["body"]), "modelId": unquote(found[1])}
    report = ParamValidator().validate(given, operation.input_shape)
    told = [report.generate_report()] if report.has_errors() else []
    if request["method"] != operation.http["method"]:
        told.append(f"{request['method']} is not {operation.http['method']}")
    roles = operation.input_shape.members["messages"].member.members["role"].enum
    told += [f"role {one['role']}" for one in given["messages"] if one["role"] not in roles]
    limit = re.compile(operation.input_shape.members["modelId"].metadata["pattern"])
    return told if limit.fullmatch(given["modelId"]) else [*told, f"modelId {given['modelId']!r}"]


print(json.dumps([one for request in json.load(sys.stdin) for one in violations(request)]))
