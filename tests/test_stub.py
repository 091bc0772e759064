"""bioneuro/_core.pyi against the extension as it runs."""

import ast
import inspect
from pathlib import Path

import pytest

import bioneuro.kernels
from bioneuro import _core, kernels, reference

STUB = Path(kernels.__file__).with_name("_core.pyi")
NODES = ast.parse(STUB.read_text()).body
FUNCTIONS = {node.name: node for node in NODES if isinstance(node, ast.FunctionDef)}
CLASSES = {
    node.name: {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    for node in NODES
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
}
ANY = object()  # a default written `...`: there is one, and it is not a literal


def stub_parameters(node):
    """(name, kind, default) of every parameter of a stub function."""
    args = node.args
    missing = inspect.Parameter.empty

    def default(value):
        literal = missing if value is None else ast.literal_eval(value)
        return ANY if literal is ... else literal

    positional = args.posonlyargs + args.args
    defaults = [None] * (len(positional) - len(args.defaults)) + args.defaults
    out = [
        (a.arg, inspect.Parameter.POSITIONAL_OR_KEYWORD, default(d)) for a, d in zip(positional, defaults, strict=True)
    ]
    out += [
        (a.arg, inspect.Parameter.KEYWORD_ONLY, default(d))
        for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    ]
    if args.kwarg:
        out.append((args.kwarg.arg, inspect.Parameter.VAR_KEYWORD, missing))
    return out


def test_same_functions():
    public = {name for name in dir(_core) if not name.startswith("_") and callable(getattr(_core, name))}
    assert public == set(FUNCTIONS) | set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_same_classes(name):
    cls, stub = getattr(_core, name), CLASSES[name]
    assert {member for member in vars(cls) if not member.startswith("_")} == {m for m in stub if m[0] != "_"}
    runtime = inspect.signature(cls).parameters.values()
    assert [(p.name, p.kind, p.default) for p in runtime] == stub_parameters(stub["__new__"])[1:]


def test_every_signature_can_be_read():
    unreadable = []
    for name in FUNCTIONS:
        try:
            inspect.signature(getattr(_core, name))
        except ValueError:
            unreadable.append(name)
    assert not unreadable


@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_parameters(name):
    runtime = inspect.signature(getattr(_core, name)).parameters.values()
    stub = stub_parameters(FUNCTIONS[name])
    assert [(p.name, p.kind) for p in runtime] == [(n, kind) for n, kind, _ in stub]
    for parameter, (_, _, default) in zip(runtime, stub, strict=True):
        if default is ANY:
            assert parameter.default is not inspect.Parameter.empty
        else:
            assert parameter.default == default and type(parameter.default) is type(default), parameter


@pytest.mark.parametrize("name", FUNCTIONS)
def test_everything_is_annotated(name):
    node = FUNCTIONS[name]
    assert node.returns is not None
    assert all(a.annotation is not None for a in node.args.args + node.args.kwonlyargs)


def test_config_matches_its_type():
    config = _core.config()
    (fields,) = (n for n in ast.parse(STUB.read_text()).body if isinstance(n, ast.ClassDef) and n.name == "_Config")
    assert list(config) == [field.target.id for field in fields.body]
    assert config["simd"] in ("generic", "avx2", "avx512") and config["n_threads"] >= 1


@pytest.mark.parametrize("name", kernels.__all__)
def test_kernels_take_what_their_twin_takes(name):
    """bioneuro.kernels has the signature of the twin, plus ``out`` where the C function has it."""
    ours, twin = (inspect.signature(getattr(module, name)).parameters.values() for module in (kernels, reference))
    out = [p for p in ours if p.name == "out"]
    assert [(p.name, p.kind, p.default) for p in ours if p.name != "out"] == [(p.name, p.kind, p.default) for p in twin]
    assert bool(out) == (" out=None" in getattr(_core, name).__text_signature__)


@pytest.mark.parametrize("name", kernels.__all__)
def test_kernels_are_documented(name):
    doc = inspect.getdoc(getattr(bioneuro.kernels, name))
    sections = ["Parameters\n----", "Raises\n----", "Notes\n----"]
    sections += ["Returns\n----"] if name not in ("validate", "normalize_rows") else []
    assert all(section in doc for section in sections)
    described = doc[doc.index("Parameters\n") :].split("Raises\n")[0]
    for parameter in inspect.signature(getattr(kernels, name)).parameters:
        assert parameter in described, f"{name}: {parameter} is not described"
