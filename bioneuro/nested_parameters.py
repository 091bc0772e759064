"""Parameters inside parameters: the fields of settings, by the long names that scikit-learn knows.

Settings are frozen dataclasses, so that models never share what one of them changes. ``get_params`` reads their fields,
``set_params`` replaces the whole (``model.set_params(turnover__birth=0.01)``), and the constructor takes what
``get_params`` gives. A parameter that has moved keeps its former name for one release, with a warning.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Self, cast

from sklearn.base import BaseEstimator

from .deprecation import warn_of_former
from .spelling import meant

__all__ = ["NestedParameters", "fields_of", "takes_long_names"]

P = ParamSpec("P")


class NestedParameters(BaseEstimator):
    """An estimator with settings among its parameters; its constructor is decorated by :func:`takes_long_names`."""

    #: Former names of parameters, and the long names that they have now.
    FORMER: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Those of them that went before the oldest files that are read.
    FORMER_BEFORE_FILES: ClassVar[frozenset[str]] = frozenset()
    #: Parameters that may be finished parts in place of settings, beside which fields of settings have no effect; and
    #: the settings that such fields are of.
    FINISHED: ClassVar[Mapping[str, type]] = {}

    @staticmethod
    def _settings(name: str, value: Any) -> Any:
        """The settings that the value of a parameter stands for; None if there are none."""
        return value if is_dataclass(value) and not isinstance(value, type) else None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Parameters
        ----------
        deep : bool, default True
            Also the fields of settings, by long names such as ``turnover__birth``.
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep:
            for name in self._get_param_names():
                settings = self._settings(name, params[name])
                if settings is not None:
                    params |= {f"{name}__{field}": getattr(settings, field) for field in fields_of(settings)}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and fields of settings by their long names.

        A value that settings refuse raises ValueError, and so does an unknown name; nothing is changed then.

        Returns
        -------
        self
        """
        for name, value in self._changed(params, ValueError).items():
            setattr(self, name, value)
        return self

    def _changed(self, given: Mapping[str, Any], error: type[Exception]) -> dict[str, Any]:
        """The parameters that change, with new settings in place of those whose fields are given."""
        own = self._get_param_names()
        changed = {name: value for name, value in given.items() if name in own}
        inner: dict[str, dict[str, Any]] = {}

        def settings_of(parameter: str) -> Any:
            return self._settings(parameter, changed.get(parameter, getattr(self, parameter, None)))

        for name, value in given.items():
            for long in self.FORMER.get(name, () if name in own else (name,)):
                parameter, _, field = long.partition("__")
                settings = settings_of(parameter) if parameter in own else None
                if settings is None and parameter in self.FINISHED and field in fields_of(self.FINISHED[parameter]):
                    continue
                if settings is None or field not in fields_of(settings):
                    raise error(self._unknown(name))
                if field in inner.setdefault(parameter, {}):
                    raise error(f"{long} must be given once, got it by its former name {name}, too")
                inner[parameter][field] = value
        former = [name for name in given if name in self.FORMER]
        if former:
            warn_of_former(type(self).__name__, {name: self.FORMER[name] for name in former}, stacklevel=4)
        for parameter, values in inner.items():
            settings = settings_of(parameter)
            made = replace(settings, **values)
            if made != settings:  # a name such as "auto" stays one as long as it stands for the same
                changed[parameter] = made
        return changed

    def _unknown(self, name: str) -> str:
        """What to say of an unknown name."""
        known = {long: long for long in self.get_params()}
        by_field = {long.rpartition("__")[2]: long for long in known if "__" in long}
        former = {old: new[0] for old, new in self.FORMER.items()}
        known = by_field | former | known
        known.pop(name, None)  # of settings that are none at the moment
        near = meant(name, known) or meant(name.rpartition("__")[2], known)
        hint = f"did you mean {known[near]!r}?" if near else f"it has {', '.join(self._get_param_names())}"
        return f"{type(self).__name__} has no parameter {name!r}: {hint}"

    @classmethod
    def upgraded(cls, state: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes as they are now, out of those in a file or a pickle, which may hold parameters by former names."""
        now = {name: value for name, value in state.items() if name not in cls.FORMER}
        if len(now) == len(state):
            return now
        if missing := cls.FORMER.keys() - cls.FORMER_BEFORE_FILES - state.keys():
            raise ValueError(f"parameters of a {cls.__name__} are missing: {', '.join(sorted(missing))}")
        defaults = inspect.signature(cls.__init__).parameters
        inner: dict[str, dict[str, Any]] = {}
        for name in state.keys() & cls.FORMER.keys():
            for long in cls.FORMER[name]:
                parameter, _, field = long.partition("__")
                now.setdefault(parameter, defaults[parameter].default)
                inner.setdefault(parameter, {})[field] = state[name]
        for parameter, values in inner.items():
            settings = cls._settings(parameter, now[parameter])
            if settings is not None and (made := replace(settings, **values)) != settings:
                now[parameter] = made
        return now

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(self.upgraded(state))

    if not TYPE_CHECKING:  # or every name would be an attribute

        def __getattr__(self, name: str) -> Any:
            parameter, _, field = type(self).FORMER.get(name, ("",))[0].partition("__")
            settings = self._settings(parameter, vars(self).get(parameter))
            if settings is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            warn_of_former(type(self).__name__, {name: type(self).FORMER[name]}, stacklevel=3)
            return getattr(settings, field)


def takes_long_names(init: Callable[P, None]) -> Callable[P, None]:
    """A constructor that also takes the fields of settings by their long names, and parameters by former ones.

    Raises
    ------
    TypeError
        An unknown name; the message suggests one that is near.
    """
    known = inspect.signature(init).parameters

    @functools.wraps(init)
    def constructor(self: Any, /, *args: Any, **params: Any) -> None:
        init(self, *args, **{name: value for name, value in params.items() if name in known})
        others = {name: value for name, value in params.items() if name not in known}
        if others:
            vars(self).update(self._changed(others, TypeError))

    return cast(Callable[P, None], constructor)  # to a type checker it takes what `init` does


def fields_of(settings: Any) -> list[str]:
    """Names of what can be set of a dataclass, or of its class."""
    return [field.name for field in fields(settings) if field.init]
