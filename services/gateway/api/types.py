"""Generator of the console's TypeScript types from the API's schema.

`python -m services.gateway.api.types` writes `services/gateway/web/lib/api_types.d.ts`: one TypeScript declaration for
each model that a route accepts or returns or a socket sends. `tsc` checks the console's JavaScript with them.
"""

import json
import re
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from services.gateway.api.app import WEB, make_gateway_app
from shared.config.settings import load_settings

FILE = WEB / "lib" / "api_types.d.ts"
COMMAND = "python -m services.gateway.api.types"
SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
LINE_CHARACTERS = 110
NAME = re.compile(r"[A-Za-z_$][\w$]*")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of every model of the API, by name, without starting a gateway."""
    with tempfile.TemporaryDirectory() as home:
        schema = make_gateway_app(load_settings(home=Path(home), run_root=Path(home)), lambda: None).openapi()
    found: dict[str, dict[str, Any]] = schema["components"]["schemas"]
    return found


def declarations(found: dict[str, dict[str, Any]]) -> str:
    """Return the TypeScript declarations for these schemas."""
    parts = [f"// Generated from the API's schema by `{COMMAND}`; not edited by hand."]
    parts += [_declaration(name, found[name]) for name in sorted(found)]
    return "\n\n".join(parts) + "\n"


def _declaration(name: str, schema: dict[str, Any]) -> str:
    comment = _comment(schema.get("description", ""), "")
    if "properties" not in schema:
        return f"{comment}export type {name} = {type_of(schema)};"
    return f"{comment}export interface {name} {{\n{_fields(schema)}}}"


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    lines = []
    for name, field in schema["properties"].items():
        key = name if NAME.fullmatch(name) else json.dumps(name)
        mark = "" if name in required else "?"
        lines.append(f"{_comment(field.get('description', ''), '  ')}  {key}{mark}: {type_of(field)};\n")
    return "".join(lines)


def _comment(text: str, indent: str) -> str:
    words = " ".join(text.split()).replace("*/", "*\\/")
    if not words:
        return ""
    lines = textwrap.wrap(words, LINE_CHARACTERS, break_long_words=False)
    if len(lines) == 1:
        return f"{indent}/** {words} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}\n" for line in lines) + f"{indent} */\n"


def type_of(schema: dict[str, Any]) -> str:
    """Return the TypeScript type for a JSON schema. Raises ValueError for a schema that is not supported."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_of(each) for each in schema["anyOf"]))
    match schema.get("type"):
        case "array":
            item = type_of(schema["items"])
            return f"({item})[]" if " " in item else f"{item}[]"
        case "object":
            return _record(schema)
        case str(kind) if kind in SCALARS:
            return SCALARS[kind]
    raise ValueError(f"no TypeScript type is known for {json.dumps(schema)[:200]}")


def _record(schema: dict[str, Any]) -> str:
    values = schema.get("additionalProperties")
    if values is True:
        return "Record<string, unknown>"
    if not isinstance(values, dict):
        raise ValueError(f"an object whose fields are not declared: {json.dumps(schema)[:200]}")
    names = schema.get("propertyNames")
    if names:
        return f"Partial<Record<{type_of(names)}, {type_of(values)}>>"
    return f"Record<string, {type_of(values)}>"


def main() -> int:
    """Write the declarations to FILE; returns the exit code."""
    FILE.write_text(declarations(schemas()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
