"""Validates an OpenAPI document, and values against its schemas. Reads {"document", "cases"} from standard input.

Objects are taken strictly: a property that a schema does not name is wrong, unless the schema says otherwise. The
document itself leaves that open, so that clients do not break when an answer gets a new field.
"""

import json
import sys

from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator


def closed(schema):
    """The same schema, where objects have no properties but those that are named."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        schema.setdefault("additionalProperties", False)
    return schema


def problems(document, cases):
    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"not valid OpenAPI: {'/'.join(map(str, error.absolute_path))}: {error.message}"
    components = {"schemas": closed(document["components"]["schemas"])}
    for case in cases:
        schema = {"$ref": f"#/components/schemas/{case['schema']}", "components": components}
        validator = OAS31Validator(schema, format_checker=oas31_format_checker)
        errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(case["value"])]
        if case["valid"] != (not errors):
            verdict = "; ".join(errors) or "is valid, and should not be"
            yield f"{case['schema']}: {verdict[:2000]}\n  {json.dumps(case['value'])[:2000]}"


found = list(problems(**json.load(sys.stdin)))
print("\n".join(found[:20]))
sys.exit(1 if found else 0)
