"""The REST API's description, made from its table. Pure."""

import re
from collections.abc import Iterable
from typing import Any, Final

from beamclaw.arguments import object_of
from beamclaw.gateway.rest._resource import Resource

PATH: Final = "/api/openapi.json"
EVENTS: Final = "/api/runs/{runId}/events"
_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeat under the same key is the same request.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_LAST: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that was read: what follows it is sent.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,9}\\.[0-9]{1,12}$"},
}
_ERROR: Final = {
    "description": "Why not, in words.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {
                        "type": "object",
                        "required": ["message", "type", "param", "code"],
                        "properties": {
                            "message": {"type": "string"},
                            "type": {"type": "string"},
                            "param": {"type": ["string", "null"]},
                            "code": {"type": ["string", "null"]},
                        },
                    }
                },
            }
        }
    },
}
# What any request may be answered, whatever it asks for.
_ANYWHERE: Final = ("400", "401", "403", "429", "503")


def document(resources: Iterable[Resource], version: str) -> dict[str, Any]:
    """The OpenAPI document of *resources*, and of a run's events."""
    paths: dict[str, dict[str, Any]] = {}
    for each in resources:
        paths.setdefault(each.path, {})[each.verb.lower()] = _operation(each)
    paths[EVENTS] = {"get": _events()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "BeamClaw", "version": version},
        "paths": paths,
        "components": {"securitySchemes": {"bearer": _BEARER}},
        "security": [{"bearer": []}],
    }


_BEARER: Final = {"type": "http", "scheme": "bearer"}


def _operation(resource: Resource) -> dict[str, Any]:
    parameters = _variable(resource.path)
    for name, schema in object_of(resource.query)["properties"].items():
        parameters.append({"name": name, "in": "query", "schema": schema})
    if resource.keyed:
        parameters.append(_IDEMPOTENCY)
    operation = {
        "operationId": resource.run.__name__,
        "summary": resource.summary,
        "description": f"Needs the scope `{resource.scope}`.",
        "parameters": parameters,
        "responses": {
            str(resource.status): {
                "description": "Done.",
                "content": {"application/json": {"schema": dict(resource.answer)}},
            },
            **_errors(resource),
        },
    }
    if resource.body is not None:
        schema = object_of(resource.body)
        for name, pattern in resource.patterns.items():
            schema["properties"][name]["pattern"] = pattern
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _errors(resource: Resource) -> dict[str, Any]:
    codes: list[str] = list(_ANYWHERE)
    if "{" in resource.path:
        codes.append("404")
    if resource.verb != "GET":
        codes += ["409", "413", "415"]
    return dict.fromkeys(sorted(codes), _ERROR)


def _variable(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{([^}]*)\}", path)
    ]


def _events() -> dict[str, Any]:
    return {
        "operationId": "events",
        "summary": "A turn as server-sent events, from its beginning or from an event on.",
        "parameters": [*_variable(EVENTS), _LAST],
        "responses": {
            "200": {
                "description": "delta, reset, tool, waiting, question and one end.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **dict.fromkeys((*_ANYWHERE, "404"), _ERROR),
        },
    }
