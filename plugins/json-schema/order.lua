-- A schema that others may start from: an order, as JSON.
return [[{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["id", "lines"],
  "additionalProperties": false,
  "properties": {
    "id": { "type": "integer", "minimum": 1 },
    "note": { "type": ["string", "null"], "maxLength": 500 },
    "lines": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/line" } }
  },
  "$defs": {
    "line": {
      "type": "object",
      "required": ["sku", "count"],
      "properties": { "sku": { "type": "string", "pattern": "^[a-z]+-[0-9]+$" }, "count": { "type": "integer", "minimum": 1 } }
    }
  }
}]]
