"""bioneuro.adapters.to_torch: logits, exact gradients, layouts and refusals."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from adapter_models import BlackBox, WithoutVjp, WithVjp, digits, fitted, victims
from attack_models import Linear

from bioneuro import adapters
from bioneuro.baselines import BackpropMLP

torch = pytest.importorskip("torch")


@pytest.fixture
def linear():
    return Linear(np.random.default_rng(0).normal(size=(4, 24)), classes=list("abcd"))


def inputs(n=5, shape=(24,), dtype=torch.float64):
    values = np.random.default_rng(1).uniform(0.1, 0.9, (n, *shape))
    return torch.tensor(values, dtype=dtype, requires_grad=True)


# --- logits


@pytest.mark.parametrize("name", ["bio", "mlp"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_are_the_models_up_to_a_constant_a_sample(name, dtype):
    model, X, *_ = victims(name, 20)
    images = torch.tensor(X.reshape(-1, 1, 8, 8), dtype=dtype)
    logits = adapters.to_torch(model)(images)
    assert logits.shape == (len(X), 10) and logits.dtype == dtype and not logits.requires_grad
    expected = model.decision_function(X)
    difference = logits.numpy() - expected
    np.testing.assert_allclose(difference - difference[:, :1], 0, atol=1e-4)
    np.testing.assert_array_equal(model.classes_[logits.argmax(dim=1).numpy()], model.predict(X))
    torch.testing.assert_close(adapters.to_torch(model)(images.flatten(1)), logits)


def test_logits_are_the_same_with_and_without_gradient(linear):
    for model in (linear, WithVjp(linear.W)):
        X, module = inputs(), adapters.to_torch(model)
        torch.testing.assert_close(module(X).detach(), module(X.detach()))


@pytest.mark.parametrize("seen_as", [lambda model: model, WithoutVjp])
def test_two_classes_give_two_logits(seen_as):
    X, y, *_ = digits()
    few = y < 5
    model = BackpropMLP((8,), n_epochs=10, random_state=0, dtype="float64").fit(X[few], y[few])
    images = torch.tensor(X[few][:6], dtype=torch.float64, requires_grad=True)
    logits = adapters.to_torch(seen_as(model))(images)
    assert logits.shape == (6, 2)
    margins = logits.diff(dim=1)[:, 0]
    np.testing.assert_allclose(margins.detach(), model.decision_function(images.detach()))
    (gradient,) = torch.autograd.grad(margins.sum(), images)
    expected = model.input_gradient(images.detach(), np.full(6, model.classes_[0]), "margin")
    np.testing.assert_allclose(gradient, expected, atol=1e-12)


def test_the_module_evaluates_and_has_nothing_to_learn(linear):
    module = adapters.to_torch(linear)
    assert not module.training and not list(module.parameters())


# --- gradients


@pytest.mark.parametrize("make", [Linear, WithVjp])
def test_backward_is_exact(linear, make):
    assert torch.autograd.gradcheck(adapters.to_torch(make(linear.W)), inputs())


@pytest.mark.parametrize("name", ["bio", "mlp"])
def test_backward_is_exact_on_trained_models(name):
    model = fitted(name, "float64")
    X = torch.tensor(digits()[2][:2].reshape(2, 1, 8, 8).clip(0.05, 0.95), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(adapters.to_torch(model), X, eps=1e-6, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["bio", "mlp"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_gradients_of_losses_are_those_of_input_gradient(name, loss):
    model, X, y, images, true = victims(name, 40)
    images = torch.tensor(images, requires_grad=True)
    logits, true = adapters.to_torch(model)(images), torch.tensor(true)
    if loss == "ce":
        value = torch.nn.functional.cross_entropy(logits, true, reduction="sum")
    else:
        own = torch.nn.functional.one_hot(true, 10).bool()
        value = (logits.masked_fill(own, -torch.inf).max(dim=1).values - logits[own]).sum()
    (gradient,) = torch.autograd.grad(value, images)
    expected = model.input_gradient(X, y, loss)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradient.numpy().reshape(X.shape), expected, atol=1e-5 * scale)


def test_one_forward_pass_serves_every_backward_pass(linear):
    model = WithVjp(linear.W)
    X = inputs()
    logits = adapters.to_torch(model)(X)
    for k in range(4):
        (gradient,) = torch.autograd.grad(logits[:, k].sum(), X, retain_graph=True)
        np.testing.assert_allclose(gradient, np.tile(model.W[k] + 1, (5, 1)))
    assert model.calls == 1


def test_a_second_derivative_is_refused(linear):
    X = inputs()
    logits = adapters.to_torch(linear)(X)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), X, create_graph=True)
    with pytest.raises(RuntimeError, match="first derivatives only"):
        (logits.sum() + gradient.square().sum()).backward()


def test_a_black_box_has_logits_and_says_what_it_lacks(linear):
    logits = adapters.to_torch(BlackBox(linear))(inputs())
    with pytest.raises(TypeError, match="BlackBox has neither input_vjp nor input_gradient"):
        logits.sum().backward()


# --- layouts


def test_channels_go_first_and_come_back(linear):
    linear.image_shape_ = (4, 3, 2)
    X = inputs()
    images = X.detach().reshape(5, 4, 3, 2).permute(0, 3, 1, 2).contiguous().requires_grad_()
    module = adapters.to_torch(linear)
    torch.testing.assert_close(module(images), module(X))
    of_rows, of_images = (torch.autograd.grad(module(x)[:, 0].sum(), x)[0] for x in (X, images))
    assert of_images.shape == images.shape
    torch.testing.assert_close(of_images.permute(0, 2, 3, 1).reshape(5, 24), of_rows)


def test_image_shape_as_an_argument(linear):
    module = adapters.to_torch(linear, image_shape=(4, 6))
    assert module(torch.rand(3, 1, 4, 6)).shape == (3, 4)
    with pytest.raises(ValueError, match=r"images must have shape \(n, 1, 4, 6\), got \(3, 1, 6, 4\)"):
        module(torch.rand(3, 1, 6, 4))


def test_outside_the_box_is_its_border(linear):
    X = inputs()
    far = (X.detach() + torch.tensor([-3.0, 3.0]).repeat(12)).requires_grad_()
    near = far.detach().clamp(0, 1).requires_grad_()
    module = adapters.to_torch(linear)
    torch.testing.assert_close(module(far), module(near))
    torch.testing.assert_close(*(torch.autograd.grad(module(x)[:, 1].sum(), x)[0] for x in (far, near)))


# --- refusals


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.rand(2, 6, 4), ValueError, "images must be"),
        (torch.zeros(2, 24, dtype=torch.uint8), TypeError, "images must be float32 or float64, got uint8"),
    ],
)
def test_images_that_are_none(linear, images, error, message):
    with pytest.raises(error, match=message):
        adapters.to_torch(linear)(images)


def test_image_shapes_that_do_not_fit():
    for shape in ((8, 9), (64,), (2, 2, 4, 4)):
        with pytest.raises(ValueError, match="image_shape must .* features, got|image_shape must be .*, got"):
            adapters.to_torch(fitted("mlp"), image_shape=shape)


def test_no_classifier():
    with pytest.raises(TypeError, match="object lacks predict, decision_function, classes_"):
        adapters.to_torch(object())


@pytest.mark.parametrize(("adapter", "module"), [("to_torch", "torch"), ("to_foolbox", "foolbox"), ("to_art", "art")])
def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch, linear, adapter, module):
    monkeypatch.setitem(sys.modules, module, None)  # makes importing it raise ImportError
    extra = "torch" if module == "torch" else "attacks"
    with pytest.raises(ImportError, match=rf'needs {module}: pip install "bioneuro\[{extra}\]"'):
        getattr(adapters, adapter)(linear)


def test_importing_the_adapters_imports_no_library():
    code = "import sys, bioneuro.adapters; assert not {'torch', 'foolbox', 'art'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.parametrize("name", ["bio", "mlp"])
def test_the_model_is_never_changed(name):
    model, _, _, images, true = victims(name, 5)
    before = pickle.dumps(model)
    images = torch.tensor(images, requires_grad=True)
    torch.nn.functional.cross_entropy(adapters.to_torch(model)(images), torch.tensor(true)).backward()
    assert pickle.dumps(model) == before
