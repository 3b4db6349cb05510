"""The document that a master serves, and whether an answer is what it says."""

import copy
import http.client
import json
from dataclasses import dataclass

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from exchange import parse_address

METHODS = ("get", "post", "delete")


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def send(address: str, method: str, target: str, body=None, headers=None, host=None) -> Answer:
    """One request on a connection of its own. A body that is no bytes is sent as JSON."""
    connection = http.client.HTTPConnection(*parse_address(address), timeout=30)
    fields = {"Host": host or address} | (headers or {})
    if body is not None and not isinstance(body, bytes):
        body, fields["Content-Type"] = json.dumps(body).encode(), "application/json"
    try:
        connection.request(method.upper(), target, body, fields)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        # A stream has no end.
        body = answer.readline() if headers["content-type"] == "text/event-stream" else answer.read()
        return Answer(answer.status, headers, body)
    finally:
        connection.close()


class Contract:
    def __init__(self, address: str):
        self.document = json.loads(send(address, "GET", "/api/v1/openapi.json").body)
        strict = copy.deepcopy(self.document)
        for schema in strict["components"]["schemas"].values():
            self._close(schema)
        for path in strict["paths"].values():
            for operation in path.values():
                self._close(operation["responses"]["200"])
        self._registry = Registry().with_resource("urn:api", DRAFT202012.create_resource(strict))

    def _close(self, schema):
        """Members that the document does not name are wrong here: a test is to notice that one was forgotten."""
        if isinstance(schema, list):
            for each in schema:
                self._close(each)
        elif isinstance(schema, dict):
            for each in schema.values():
                self._close(each)
            if schema.get("type") == "object" and "properties" in schema:
                schema["additionalProperties"] = False

    def operations(self):
        """Method, path and operation of each."""
        return [(method, path, operation) for path, item in self.document["paths"].items() for method, operation in item.items()]

    def check(self, method: str, path: str, answer: Answer):
        """Fails where the document does not have such an answer."""
        what = f"{method.upper()} {path}: {answer.status} {answer.body[:500]!r}"
        responses = self.document["paths"][path][method]["responses"]
        assert str(answer.status) in responses, f"an undocumented answer, {what}"
        pointer = f"/paths/{self._escaped(path)}/{method}/responses/{answer.status}"
        response = responses[str(answer.status)]
        if "$ref" in response:
            pointer = response["$ref"].removeprefix("#")
            response = self.document["components"]["responses"][pointer.rsplit("/", 1)[1]]
        type = answer.headers["content-type"].split(";")[0]
        assert type in response["content"], f"an undocumented {type}, {what}"
        if not type.endswith("json"):
            return
        schema = {"$ref": f"urn:api#{pointer}/content/{self._escaped(type)}/schema"}
        errors = list(Draft202012Validator(schema, registry=self._registry).iter_errors(answer.json))
        assert not errors, (what, errors)
        if answer.status != 200:
            assert answer.json["status"] == answer.status and answer.json["detail"]

    @staticmethod
    def _escaped(name: str) -> str:
        return name.replace("~", "~0").replace("/", "~1")
