"""The configuration kept beside results: results of different configurations are never mixed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...atomic_write import write_atomically
from ...classifier import BioClassifier
from ..errors import UserError

__all__ = ["keep_configuration", "network_defaults", "read_configuration"]


def keep_configuration(
    path: Path, configuration: Mapping[str, Any], environment: Mapping[str, Any], results: Path | None
) -> None:
    """Write the configuration file: this configuration, and every environment that results come from.

    Parameters
    ----------
    path : Path
    configuration : dict
        In JSON types.
    environment : dict
        Versions and machine.
    results : Path or None
        The results that are there already; None if there are none yet, so that any configuration will do.

    Raises
    ------
    UserError
        The results that are there belong to another configuration, or the file that is there cannot be read.
    OSError
    """
    # Through JSON, so that both sides of the comparison have the same types.
    configuration, environment = json.loads(json.dumps([configuration, environment]))
    if results is not None and not path.exists():
        raise UserError(f"{results} has no {path.name} beside it; choose another --out")
    environments = []
    if path.exists():
        try:
            found, known = read_configuration(path)
        except UserError as error:
            raise UserError(f"{error}; choose another --out") from error
        if results is not None:
            _refuse_another(path, found, configuration)
            environments = known
    if environment not in environments:
        environments.append(environment)
    record = {"configuration": configuration, "environments": environments}
    write_atomically(path, json.dumps(record, indent=2) + "\n")


def network_defaults() -> dict[str, str]:
    """The defaults of our network, which are part of what results depend on."""
    return {name: repr(value) for name, value in BioClassifier().get_params().items()}


def read_configuration(path: Path) -> tuple[Any, list[Any]]:
    """Configuration and environments of a file.

    Raises
    ------
    UserError
        It is no such file.
    OSError
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["configuration"], kept["environments"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is not a configuration") from error


def _refuse_another(path: Path, found: Any, wanted: Any) -> None:
    if changed := list(_differences(found, wanted)):
        more = f"; {len(changed) - 3} more" if len(changed) > 3 else ""
        raise UserError(
            f"{path.parent} holds results of another configuration ({'; '.join(changed[:3])}{more}): "
            "choose another --out, or delete it"
        )


def _differences(found: Any, wanted: Any, name: str = "") -> Iterable[str]:
    """Each entry in which two configurations differ, as "name: found there, wanted now"."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(found.keys() - wanted.keys())]:
            yield from _differences(found.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    elif found != wanted:
        yield f"{name}: {found!r} there, {wanted!r} now"
