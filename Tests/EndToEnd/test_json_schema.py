"""The plugin json-schema, held against Python's jsonschema over random schemas and documents."""

import fnmatch
import json
import random
from fractions import Fraction

import jsonschema
import pytest
from jsonschema import _utils, validators

from processes import ROOT, run

NAMES = ["a", "b", "cc", "a/b", "~", "é", ""]
TEXTS = ["", "a", "ab", "abc", "é", "😀😀", "a\u0301", "1", "null", "a b", "x" * 20, "\u0000"]
NUMBERS = [
    "0", "1", "-1", "2", "3", "10", "1.0", "-0.0", "0.5", "2.5", "1e2", "0.1", "0.3", "19.99", "0.01", "1e15", "9007199254740992",
    "9007199254740993", "9007199254740992.0", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "18446744073709551617", "1.8446744073709552e19", "100000000000000000000", "1e20",
]
PATTERNS = ["^a", "b$", "^[a-c]+$", "é", "^.{2}$", "[0-9]", "^$", "a|b", "^(?:ab)*$"]
TYPES = ["null", "boolean", "object", "array", "number", "integer", "string"]


def exact_multiple(validator, of, instance, schema):
    """As people count, by the digits that stand in the documents: floats would say that 19.99 is no multiple of 0.01."""
    if validator.is_type(instance, "number") and Fraction(repr(instance)) % Fraction(repr(of)):
        yield jsonschema.ValidationError("no multiple")


def unique(validator, wanted, instance, schema):
    """Each held against each: jsonschema's own sorts first, and misses some."""
    if wanted and validator.is_type(instance, "array"):
        if any(_utils.equal(one, other) for i, one in enumerate(instance) for other in instance[:i]):
            yield jsonschema.ValidationError("not unique")


Validator = validators.extend(jsonschema.Draft202012Validator, {"multipleOf": exact_multiple, "uniqueItems": unique})


class Maker:
    """Random JSON as text: numbers as they are written, names twice, spaces. Documents are made of what is in the schema, too."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.used = []

    def text(self, value) -> str:
        return json.dumps(value, ensure_ascii=self.rng.random() < 0.5)

    def plain(self) -> str:
        kind = self.rng.randrange(8)
        if kind < 3:
            return self.rng.choice(NUMBERS)
        return self.text(self.rng.choice(TEXTS)) if kind < 6 else self.rng.choice(["null", "true", "false"])

    def value(self, depth=0) -> str:
        kind = self.rng.randrange(10)
        if self.used and kind == 0:
            return self.rng.choice(self.used)
        if depth > 3 or kind < 4:
            return self.plain()
        if kind < 7:
            return "[" + ",".join(self.value(depth + 1) for _ in range(self.rng.randrange(5))) + "]"
        names = [self.rng.choice(NAMES) for _ in range(self.rng.randrange(5))]
        return "{" + ", ".join(f"{self.text(name)}:{self.value(depth + 1)}" for name in names) + "}"

    def members(self, some) -> str:
        return "{" + ",".join(f"{self.text(name)}:{value}" for name, value in some) + "}"

    def names(self) -> str:
        return json.dumps(self.rng.sample(NAMES, self.rng.randint(0, 2)))

    def constant(self) -> str:
        value = self.value(2)
        self.used.append(value)
        return value

    def some(self, depth, least=1) -> list:
        return [self.schema(depth + 1) for _ in range(self.rng.randint(least, 3))]

    def named(self, depth) -> str:
        return self.members((name, self.schema(depth + 1)) for name in self.rng.sample(NAMES, self.rng.randint(0, 3)))

    def keyword(self, name, depth) -> str:
        rng = self.rng
        if name == "type":
            return json.dumps(rng.choice(TYPES) if rng.random() < 0.7 else rng.sample(TYPES, rng.randint(0, 3)))
        if name == "enum":
            return "[" + ",".join(self.constant() for _ in range(rng.randint(0, 4))) + "]"
        if name == "const":
            return self.constant()
        if name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            return rng.choice(NUMBERS)
        if name == "multipleOf":
            return rng.choice(["1", "2", "0.5", "0.1", "0.01", "3", "1.0", "7", "9007199254740993"])
        if name[:3] in ("min", "max"):
            return rng.choice(["0", "1", "2", "3", "2.0"])
        if name == "pattern":
            return json.dumps(rng.choice(PATTERNS))
        if name == "uniqueItems":
            return rng.choice(["true", "true", "false"])
        if name == "required":
            return self.names()
        if name == "dependentRequired":
            return self.members((one, self.names()) for one in rng.sample(NAMES, 2))
        if name == "patternProperties":
            return self.members((one, self.schema(depth + 1)) for one in rng.sample(PATTERNS, rng.randint(0, 2)))
        if name in ("allOf", "anyOf", "oneOf", "prefixItems"):
            return "[" + ",".join(self.some(depth)) + "]"
        if name in ("properties", "dependentSchemas"):
            return self.named(depth)
        return self.schema(depth + 1)

    KEYWORDS = (
        "type type enum const minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern minItems maxItems "
        "uniqueItems minProperties maxProperties required dependentRequired properties properties patternProperties additionalProperties "
        "propertyNames items items prefixItems contains minContains maxContains allOf anyOf oneOf not if then else dependentSchemas"
    ).split()

    def schema(self, depth=0) -> str:
        if depth > 3 or self.rng.random() < 0.1:
            return self.rng.choice(["true", "false", '{"type":"integer"}', '{"type":"string"}', '{"minimum":1}', '{"maxLength":1}'])
        # What is below $defs looks at a member of the value, so that nothing leads back to itself.
        if depth and self.rng.random() < 0.1:
            return self.rng.choice(['{"$ref":"#/$defs/node"}', '{"$ref":"#kept"}', '{"$ref":"#/$defs/a~1b%25"}'])
        names = dict.fromkeys(self.rng.choice(self.KEYWORDS) for _ in range(self.rng.randint(1, 4)))
        return self.members((name, self.keyword(name, depth)) for name in names)

    def document(self) -> str:
        """A schema with definitions, which may be recursive."""
        top = self.schema()
        if not top.startswith("{"):
            return top
        definitions = (
            '"$defs":{"node":{"type":["object","array","integer"],"properties":{"a":{"$ref":"#/$defs/node"}},"items":{"$ref":"#/$defs/node"}},'
            '"kept":{"$anchor":"kept","type":["string","null"]},"a/b%":{"not":{"type":"boolean"}}}'
        )
        return top[:-1] + ("," if top != "{}" else "") + definitions + "}"


def is_told(keyword, place, errors) -> bool:
    """Whether one of Python's errors is of this keyword and place: a * stands for any name."""
    for error in errors:
        path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.absolute_path)
        keywords = [error.validator or "false", *error.absolute_schema_path]
        wanted = "".join("[[]" if c == "[" else "?" if c == "?" else c for c in place)
        # A schema that is `false` is told by its keyword, with the place of what it refuses.
        if keyword in keywords and any(fnmatch.fnmatchcase(path, one) for one in (wanted, wanted.rpartition("/")[0])):
            return True
    return False


@pytest.mark.parametrize("seed", range(5))
def test_finds_what_jsonschema_finds(tmp_path, seed):
    maker = Maker(seed)
    schemas, lines, cases = [], [], []
    for number in range(100):
        maker.used = []
        schema = maker.document()
        schemas.append({"topic": f"s/{number}", "schema": schema})
        validator = Validator(json.loads(schema))
        for _ in range(40):
            payload = maker.value()
            lines.append(json.dumps({"topic": f"s/{number}", "payload": payload, "format": "json"}))
            cases.append((schema, payload, list(validator.iter_errors(json.loads(payload)))))
    # A machine that is busy with other things must not end a call.
    rules = {"budget": {"time": "1s", "memory": "16MiB"}, "settings": {"json-schema": {"schemas": schemas}}}
    (tmp_path / "worker.yaml").write_text(json.dumps({"rules": rules}, ensure_ascii=False))
    (tmp_path / "messages.jsonl").write_text("\n".join(lines))
    result = run(
        "rule", "run", ROOT / "plugins/json-schema", "--config", tmp_path / "worker.yaml", "--messages", tmp_path / "messages.jsonl",
        "--output", "json", timeout=120,
    )
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-500:]
    answers = [json.loads(line) for line in result.stdout.splitlines()][:len(cases)]
    assert len(answers) == len(cases) == 4000
    for (schema, payload, errors), answer in zip(cases, answers):
        why = answer.get("why")
        what = f"{schema}\n{payload}\n{why}\n{[(error.validator, list(error.absolute_path)) for error in errors]}"
        assert (why is not None) == bool(errors), what
        if why:
            keyword, place = why.removeprefix("it does not fit its schema: ").split(" at ", 1)
            assert is_told(keyword, "" if place == "the top" else place, errors), what
    refused = sum(1 for _, _, errors in cases if errors)
    assert 800 < refused < 3600, "both kinds are tried"
