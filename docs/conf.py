"""The documentation site: `make docs` builds it into build/docs, with warnings as errors."""

import importlib
import inspect
import logging
import re
import sys
from importlib import metadata

from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

project = "bioneuro"
author = "The bioneuro developers"
copyright = "The bioneuro developers"  # noqa: A001 - Sphinx's name
release = metadata.version("bioneuro")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["make", "data"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"bioneuro {release}"

myst_enable_extensions = ["amsmath", "dollarmath", "deflist"]
myst_heading_anchors = 3

# one page a module, made from its __all__; docstrings are numpydoc's
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say them
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

intersphinx_mapping = {
    "matplotlib": ("https://matplotlib.org/stable/", None),
    "numpy": ("https://numpy.org/doc/stable/", None),
    "pandas": ("https://pandas.pydata.org/docs/", None),
    "python": ("https://docs.python.org/3/", None),
    "scipy": ("https://docs.scipy.org/doc/scipy/", None),
    "sklearn": ("https://scikit-learn.org/stable/", None),
}
intersphinx_timeout = 5


def _public(module):
    """Names in a module's ``__all__`` by kind: classes, functions, and values with the comment above them."""
    found = {"classes": [], "functions": [], "values": []}
    for name in importlib.import_module(module).__all__:
        item = getattr(sys.modules[module], name)
        if inspect.isclass(item):
            found["classes"].append(name)
        elif inspect.isroutine(item):
            found["functions"].append(name)
        elif not inspect.ismodule(item):
            found["values"].append((name, _comment(module, name, item)))
    return found


def _comment(package, name, value):
    """What the ``#:`` lines above a value say, in the module of the package that defines it."""
    for module in [m for m in sys.modules if m.startswith("bioneuro.")]:
        if vars(sys.modules[module]).get(name) is value:
            try:
                documented = ModuleAnalyzer.for_module(module).find_attr_docs()
            except PycodeError:  # the extension has no source
                continue
            if ("", name) in documented:
                return "\n   ".join(documented["", name]).strip()
    if isinstance(value, dict):
        return "Keys: " + ", ".join(f"``{key}``" for key in value) + "."
    return f"``{value}``"


autosummary_context = {"public": _public}
suppress_warnings = ["config.cache"]  # a function is no value that could be compared with the last build's


class _Offline(logging.Filter):
    """Without a network, names of other projects are no links: that is no reason to fail."""

    def filter(self, record):
        return "failed to reach any of the inventories" not in record.getMessage()


def _skip(app, what, name, obj, skip, options):
    """What other projects' bases give a class, and methods that scikit-learn makes for its metadata routing."""
    if re.fullmatch(r"get_metadata_routing|set_\w+_request", name):
        return True
    defined = obj.fget if isinstance(obj, property) else obj
    foreign = inspect.isroutine(defined) and not (getattr(defined, "__module__", None) or "").startswith("bioneuro")
    return True if what == "class" and foreign else None


def setup(app):
    app.connect("autodoc-skip-member", _skip)
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith("sphinx.sphinx.ext.intersphinx"):
            logging.getLogger(name).addFilter(_Offline())
