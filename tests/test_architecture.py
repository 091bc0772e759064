"""The law of the rooms, read from the imports: arrows point one way, and nothing in the library knows the research."""

import ast
import importlib
from pathlib import Path

import pytest

import bioneuro

PACKAGE = Path(bioneuro.__file__).parent
ROOT = Path(__file__).parent.parent
#: The layers, the lowest first: what a room imports is in the lines above its own. CONTRIBUTING.md draws the same.
LAYERS = """
_core checks deprecation extras moments network_table qualified_names spelling
threads _npz reference contrast_response seeds progress atomic_write protocols dataset_files _dask_plugin
kernels dask_workers row_sources synapses losses estimators nested_parameters image_shapes analysis omniglot
_attributes _image_files history image_rows
datasets connectivity rules _random_states attacks continual plot
layers corruption_functions supervision
network corruptions
white_box blockwise_encoding schedule
surrogates baselines fewshot adapters
network_estimator
classifier network_classifier
io model_report
research
__main__ natural
"""
#: Who may import the research: the command line, and a name that was moved there and goes with the next release.
ENTRIES = {"__main__", "natural"}
#: Underscored, but public: methods of a NamedTuple, and what notebooks ask for.
PUBLIC = {"_asdict", "_fields", "_make", "_replace", "_repr_html_"}

RANK = {room: rank for rank, line in enumerate(LAYERS.strip().splitlines()) for room in line.split()}


def modules(folder):
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def parts_of(path):
    """Of a module's dotted name below ``bioneuro``; none for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported(path):
    """Parts of each name of the package that a module imports, anywhere in it, below ``bioneuro``."""
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level:
                base = ("bioneuro", *package)[: len(package) + 2 - node.level]
                module = [*base, *module]
            names = [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        yield from (tuple(name[1:]) for name in names if name[0] == "bioneuro")


def rooms_used(path):
    """Rooms of the library that a module imports, its own and the package itself left out."""
    own = parts_of(path)[:1]
    return {name[0] for name in imported(path) if name and name[0] in RANK and name[:1] != own}


LIBRARY = [path for path in modules(PACKAGE) if path != PACKAGE / "__init__.py"]


def test_every_room_has_a_place_in_the_layers():
    rooms = {parts_of(path)[0] for path in LIBRARY} | {"_core"}
    assert rooms == set(RANK)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: ".".join(parts_of(path)))
def test_arrows_point_one_way(path):
    room = parts_of(path)[0]
    wrong = {used for used in rooms_used(path) if RANK[used] >= RANK[room]}
    assert not wrong, f"{room} may not import {', '.join(sorted(wrong))}: see the layers in CONTRIBUTING.md"


def test_modules_import_each_other_in_no_circle():
    """Inside functions neither: such an import hides a circle. A name that is no module is the package's own."""
    paths = {parts_of(path): path for path in modules(PACKAGE)}
    imports = {
        parts: {next(name[:k] for k in range(len(name), -1, -1) if name[:k] in paths) for name in imported(path)} - {()}
        for parts, path in paths.items()
    }
    while leaves := [parts for parts, used in imports.items() if not used & imports.keys()]:
        for parts in leaves:
            del imports[parts]
    assert not [".".join(parts) for parts in imports]


def test_nothing_outside_imports_the_research():
    outside = [path for path in modules(PACKAGE) if parts_of(path)[:1] not in {("research",), *((e,) for e in ENTRIES)}]
    assert not [path for path in outside if any(name[:1] == ("research",) for name in imported(path))]


def test_the_layers_are_drawn_in_contributing():
    drawn = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = [" ".join(line.replace("·", " ").split()) for line in drawn.splitlines()]
    start = lines.index(LAYERS.split("\n")[1])
    assert "\n".join(lines[start : start + len(LAYERS.strip().splitlines())]) == LAYERS.strip()


def names_stored(tree):
    """Names of functions, classes, variables and attributes that a module makes."""
    return {
        getattr(node, "name", None) or getattr(node, "id", None) or getattr(node, "attr", None)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store))
    }


def privates_of_others(path):
    """Underscored names that a module takes from another: imported, or read from anything but its own classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = names_stored(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found = [alias.name for alias in node.names] + (node.module or "").split(".")
        elif isinstance(node, ast.Attribute):
            found = [] if node.attr in own else [node.attr]
        else:
            continue
        for name in found:
            if name.startswith("_") and not name.startswith("__") and name not in PUBLIC:
                yield f"line {node.lineno}: {name}"


@pytest.mark.parametrize("path", modules(PACKAGE / "research"), ids=lambda path: ".".join(parts_of(path)))
def test_research_uses_public_names_only(path):
    assert not list(privates_of_others(path))


@pytest.mark.parametrize("room", sorted({parts_of(path)[0] for path in LIBRARY} - {"research"}))
def test_a_room_reads_no_private_attribute_of_another(room):
    own = [path for path in LIBRARY if parts_of(path)[0] == room]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in own]
    stored = {name for tree in trees for name in names_stored(tree)}
    read = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "super()")
    }
    private = {name for name in read - stored - PUBLIC if name.startswith("_") and not name.startswith("__")}
    assert not private


def classes_of_research():
    for path in modules(PACKAGE / "research"):
        module = importlib.import_module(".".join(("bioneuro", *parts_of(path))))
        yield from (cls for cls in vars(module).values() if isinstance(cls, type) and cls.__module__ == module.__name__)


def test_research_overrides_public_names_only():
    hooks = {
        f"{cls.__name__}.{name}, of {base.__name__}"
        for cls in classes_of_research()
        for base in cls.__mro__[1:]
        if base.__module__.startswith("bioneuro.") and not base.__module__.startswith("bioneuro.research")
        for name in vars(cls).keys() & vars(base).keys()
        if name.startswith("_") and not name.startswith("__") and name != "_abc_impl"
    }
    assert not hooks


def test_imports_inside_the_package_are_relative():
    absolute = [
        f"{'.'.join(parts_of(path))}, line {node.lineno}"
        for path in modules(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "bioneuro"
    ]
    assert not absolute
