"""The OpenAPI document of other tools' protocols: served at /openapi.json, and committed beside this file.

Source: OpenAPI 3.1 (its schemas are JSON Schema); msgspec's schema generation over the structs that decode and encode,
so that the document cannot say anything else than they do. After a change write the file anew:
`python -c "from model.engine.protocols.openapi import *; OPENAPI_FILE.write_text(openapi_json())"`. Left out: the
border itself, whose schema is model/engine/schema.json.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from model.engine import api
from model.engine.protocols import llama_cpp, openai

OPENAPI_FILE = Path(__file__).with_name("openapi.json")

_STREAM: dict[str, Any] = {"text/event-stream": {}}
_ERRORS = {
    "400": "Something in the request is wrong or not offered; the message says what.",
    "401": "The key is missing or wrong.",
    "403": "Web pages are not answered.",
    "408": "The request did not arrive in time.",
    "413": "The request is too large.",
    "421": "The engine does not answer under that host name.",
    "422": "Two fields do not go together; the message says which.",
    "429": "Too many requests: try again later.",
    "500": "The engine failed on this request.",
    "503": "The model is being loaded, or the engine is about to end.",
}


def openapi_json() -> str:
    """The whole document, sorted and indented."""
    shapes: dict[str, Any] = {
        "completion_request": openai.CompletionRequest,
        "completion": openai.Completion,
        "models": openai.ModelList,
        "openai_error": openai.OpenAIError,
        "infill_request": llama_cpp.InfillRequest,
        "infilled": llama_cpp.Infilled,
        "props": llama_cpp.Props,
        "llama_cpp_error": llama_cpp.LlamaCppError,
        "health": api.Health,
    }
    schemas, components = _schemas(shapes)
    completion = _answers({**_json(schemas["completion"]), **_STREAM}, schemas["openai_error"])
    # Several, or only the fields that were asked for.
    one = {"anyOf": [schemas["infilled"], {"type": "object"}]}
    infilled = {"anyOf": [*one["anyOf"], {"type": "array", "items": one}]}
    paths = {
        "/v1/completions": _post("Write on, or fill a hole", schemas["completion_request"], completion),
        "/v1/fim/completions": _post("Fill a hole", schemas["completion_request"], completion),
        "/infill": _post(
            "Fill a hole, as llama.cpp's server does",
            schemas["infill_request"],
            _answers({**_json(infilled), **_STREAM}, schemas["llama_cpp_error"]),
        ),
        "/v1/models": _get("The loaded model", _answers(_json(schemas["models"]), schemas["openai_error"])),
        "/props": _get("The loaded model's context", _answers(_json(schemas["props"]), schemas["llama_cpp_error"])),
        "/health": _get(
            "How the engine is", {"200": {"description": "Its state", "content": _json(schemas["health"])}}
        ),
    }
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Seedling's engine, for other tools",
            "description": "Completions by the resident model. `/v1/denoise`, the border that the language server "
            "uses and the only one that takes drafts, is not among them.",
            "version": str(api.API_VERSION),
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
        "paths": paths,
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _schemas(shapes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of each shape, and what they refer to. Two structs of one name get their modules' names."""
    references, components = msgspec.json.schema_components(
        list(shapes.values()), ref_template="#/components/schemas/{name}"
    )
    return dict(zip(shapes, references, strict=True)), dict(components)


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _answers(content: dict[str, Any], error: Any) -> dict[str, Any]:
    ends = {status: {"description": text, "content": _json(error)} for status, text in _ERRORS.items()}
    return {"200": {"description": "The answer", "content": content}, **ends}


def _post(summary: str, request: Any, answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": _json(request)},
            "responses": answers,
        }
    }


def _get(summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": answers}}
