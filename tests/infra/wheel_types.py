"""Checks registrations with the types in the installed pulumi_aws wheel.

Those are generated from the schema of the provider of the same version. `*Args` classes check names only, and dicts
nothing. This checks every property of every resource: name, type, enum, and whether a required one is missing.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import json
import sys
import types
import typing
from collections import abc
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws
from pulumi._types import input_type_py_to_pulumi_names, is_input_type
from pulumi.output import Unknown


def problems(resource_type: str, inputs: Mapping[str, Any]) -> Iterator[str]:
    """The faults of `inputs`, which have the names that Pulumi's engine uses."""
    if resource_type not in _classes():
        yield f"there is no resource type {resource_type}"
        return
    yield from _object(inputs, _args_class(resource_type), "")


@cache
def _classes() -> dict[str, tuple[str, str]]:
    """Module and class of each resource type, from the wheel's own table."""
    source = Path(str(pulumi_aws.__file__)).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "resource_modules" and isinstance(node.value, ast.Constant):
            modules = json.loads(str(node.value.value))
            return {
                resource_type: (module["fqn"], name)
                for module in modules
                for resource_type, name in module["classes"].items()
            }
    raise AssertionError("pulumi_aws no longer lists its resource modules in its __init__")


@cache
def _args_class(resource_type: str) -> type:
    module, name = _classes()[resource_type]
    resource = getattr(importlib.import_module(module), name)
    defined_in = sys.modules[resource.__module__]
    # The generator uses InitArgs where another class has the name already.
    return getattr(defined_in, f"{name}InitArgs", None) or getattr(defined_in, f"{name}Args")


@cache
def _properties(args: type) -> tuple[dict[str, tuple[str, Any]], frozenset[str]]:
    """The properties of an Args class by engine name, with their types; and the required ones."""
    module = sys.modules[args.__module__]
    hints = typing.get_type_hints(args.__init__, {"Output": pulumi.Output, "T": Any, **vars(typing), **vars(module)})
    names = input_type_py_to_pulumi_names(args)
    required = frozenset(
        names[parameter.name]
        for parameter in inspect.signature(args).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    )
    return {engine: (python, hints[python]) for python, engine in names.items()}, required


def _object(value: Mapping[str, Any], args: type, path: str) -> Iterator[str]:
    known, required = _properties(args)
    for key, item in value.items():
        if key == "__defaults":
            continue
        if key not in known:
            yield f"{path}{key}: {args.__name__} has no such property"
        else:
            yield from _value(item, known[key][1], f"{path}{key}")
    for key in sorted(required):
        if value.get(key) is None:
            yield f"{path}{key}: {args.__name__} requires it"


def _value(value: Any, hint: Any, path: str) -> Iterator[str]:
    if value is None or isinstance(value, pulumi.Output | pulumi.Resource | Unknown):
        return
    alternatives = _alternatives(hint)
    if not alternatives or Any in alternatives:
        return
    enums = [item for item in alternatives if isinstance(item, type) and issubclass(item, enum.Enum)]
    if enums and isinstance(value, str):
        allowed = {member.value for item in enums for member in item}
        if value not in allowed:
            yield f"{path}: {value!r} is not one of {', '.join(sorted(map(str, allowed)))}"
        return
    for alternative in alternatives:
        if _fits(value, alternative):
            yield from _inside(value, alternative, path)
            return
    yield f"{path}: {value!r} is not {' or '.join(str(getattr(item, '__name__', item)) for item in alternatives)}"


def _alternatives(hint: Any) -> list[Any]:
    """The plain types in a hint: without Input, Optional, Union, Output and the TypedDict twins."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return [item for part in typing.get_args(hint) for item in _alternatives(part)]
    origin = typing.get_origin(hint) or hint
    promised = isinstance(origin, type) and issubclass(origin, pulumi.Output | abc.Awaitable)
    return [] if hint is type(None) or promised or typing.is_typeddict(hint) else [hint]


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint) or hint
    if origin is str or origin is bool:
        return isinstance(value, origin)
    if origin is int or origin is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (origin is float or float(value).is_integer())
    if origin in (abc.Sequence, list):
        return isinstance(value, list | tuple)
    if origin in (abc.Mapping, dict) or (isinstance(hint, type) and is_input_type(hint)):
        return isinstance(value, dict)
    return not isinstance(origin, type) or isinstance(value, origin)


def _inside(value: Any, hint: Any, path: str) -> Iterator[str]:
    if isinstance(hint, type) and is_input_type(hint):
        yield from _object(value, hint, f"{path}.")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _value(item, typing.get_args(hint)[0], f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _value(item, typing.get_args(hint)[1], f"{path}[{key!r}]")
