"""Streams of labelled batches that change as they go, on plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ..checks import Choice, Integer, Number, check, check_count, check_labels, check_number, plain_array
from ..image_shapes import image_shape_of
from ..seeds import generator_from

#: Degrees.
ANGLE = Number(-np.inf, np.inf)


class Batch(NamedTuple):
    """What a stream shows at once.

    Attributes
    ----------
    X : ndarray, shape (n, n_features)
    y : ndarray, shape (n,)
        Labels.
    part : int
        Stretch of the stream that it belongs to.
    """

    X: NDArray
    y: NDArray
    part: int


@dataclass(frozen=True, repr=False)
class Stream:
    """Samples in the order in which they are shown, once each, and a test set for each task.

    Iterating gives a :class:`Batch` at a time; no batch reaches over two parts. ``len`` is the number of batches.

    Parameters
    ----------
    name : str
    X, y : (n, n_features) and (n,)
    part : (n,) of int
        Stretch of the stream, 0 and on in steps of 1, after each of which models are tested.
    tests : tuple of (X, y)
        Test set of each task.
    classes : (n_classes,)
        All labels, sorted.
    task_classes : tuple of arrays
        Labels of each task.
    task_known : bool
        Whether a test tells which task it is of (task-incremental): only that task's labels are then answers.
    batch_size : int >= 1

    Raises
    ------
    ValueError
        Labels or parts that are not one a row, parts out of order, another number of tests than of tasks.
    """

    name: str
    X: NDArray
    y: NDArray
    part: NDArray
    tests: tuple[tuple[NDArray, NDArray], ...]
    classes: NDArray
    task_classes: tuple[NDArray, ...]
    task_known: bool = False
    batch_size: int = 50

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)
        _check_rows("X", self.X, "y", self.y)
        for i, (X, y) in enumerate(self.tests):
            _check_rows(f"tests[{i}][0]", X, f"tests[{i}][1]", y)
        part = np.asarray(self.part)
        if part.shape != (len(self.X),) or part.dtype.kind not in "iu" or not _ascends_from_0(part):
            raise ValueError(f"part must hold an integer for each row of X, 0 and on in steps of 1, got {self.part!r}")
        if len(self.task_classes) != len(self.tests):
            raise ValueError(
                f"task_classes must be one for each of the {len(self.tests)} tests, got {len(self.task_classes)}"
            )

    @property
    def n_tasks(self) -> int:
        """Tasks, each with a test set."""
        return len(self.tests)

    def _slices(self) -> list[slice]:
        bounds = [0, *(np.flatnonzero(np.diff(self.part)) + 1), len(self.y)]
        return [
            slice(start, min(start + self.batch_size, end))
            for begin, end in zip(bounds[:-1], bounds[1:], strict=True)
            for start in range(begin, end, self.batch_size)
        ]

    def __len__(self) -> int:
        return len(self._slices())

    def __repr__(self) -> str:
        n, n_features = self.X.shape
        return (
            f"Stream({self.name!r}, {n} samples of {n_features} features, {self.n_tasks} tasks, "
            f"{len(self.classes)} classes, {len(self)} batches of at most {self.batch_size})"
        )

    def __iter__(self) -> Iterator[Batch]:
        return (Batch(self.X[rows], self.y[rows], int(self.part[rows.start])) for rows in self._slices())

    def mapped(self, transform: Callable[[NDArray], NDArray]) -> Stream:
        """The same stream of ``transform(X)``: each image is encoded once.

        Parameters
        ----------
        transform : function of ``(n, n_features)``
            Such as the `transform` of an encoder.

        Returns
        -------
        Stream
        """
        return replace(self, X=transform(self.X), tests=tuple((transform(X), y) for X, y in self.tests))


def split(
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    *,
    n_tasks: int = 5,
    scenario: Literal["class", "task"] = "class",
    batch_size: int = 50,
    class_order: ArrayLike | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> Stream:
    """The classes come in groups, one after another (split-MNIST and its kin).

    Parameters
    ----------
    X, y, X_test, y_test : array-like
        ``(n, n_features)`` and ``(n,)`` to learn from and to test on.
    n_tasks : int
        Groups of equal size, or as equal as can be, of the classes.
    scenario : {"class", "task"}
        Class-incremental: the answer is any class. Task-incremental: the test tells the group. (van de Ven & Tolias
        2019, arXiv:1904.07734.)
    batch_size : int >= 1
    class_order : array-like, optional
        All labels in the order in which they come; default sorted.
    random_state : int, Generator or None
        Of the order of samples within a task.

    Returns
    -------
    Stream

    Raises
    ------
    ValueError
        Wrong shapes; a number of tasks that the classes do not allow; a class without test samples.
    """
    X, y, X_test, y_test = _checked(X, y, X_test, y_test, batch_size)
    check("scenario", scenario, Choice(("class", "task")))
    classes = np.unique(y)
    order = classes if class_order is None else plain_array(class_order, "class_order")
    if order.shape != classes.shape or not np.array_equal(np.sort(order), classes):
        raise ValueError(f"class_order must hold each of the labels {classes} once, got {order}")
    _check_tasks("n_tasks", n_tasks, len(classes), "classes")
    groups = np.array_split(order, n_tasks)
    rng = generator_from(random_state)
    rows = [rng.permutation(np.flatnonzero(np.isin(y, group))) for group in groups]
    tests = [np.flatnonzero(np.isin(y_test, group)) for group in groups]
    shown = np.concatenate(rows)
    return Stream(
        f"split, {scenario}-incremental",
        X[shown],
        y[shown],
        np.repeat(np.arange(n_tasks), [len(part) for part in rows]),
        tuple((X_test[part], y_test[part]) for part in tests),
        classes,
        tuple(np.sort(group) for group in groups),
        scenario == "task",
        batch_size,
    )


def permuted(
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    *,
    n_tasks: int = 5,
    batch_size: int = 50,
    random_state: int | np.random.Generator | None = 0,
) -> Stream:
    """All classes in every task; from the second on, the features come in another random order (permuted MNIST).

    The samples are dealt out to the tasks, so that each is shown once. Goodfellow et al. 2013, arXiv:1312.6211.

    Parameters
    ----------
    X, y, X_test, y_test : array-like
        ``(n, n_features)`` and ``(n,)`` to learn from and to test on.
    n_tasks : int
        Orders of the features, the first as they are; at most one for each sample.
    batch_size : int >= 1
    random_state : int, Generator or None
        Of the orders, and of which sample is of which task.

    Returns
    -------
    Stream

    Raises
    ------
    ValueError
        Wrong shapes; more tasks than samples; labels that are in one of ``y`` and ``y_test`` only.
    """
    X, y, X_test, y_test = _checked(X, y, X_test, y_test, batch_size)
    _check_tasks("n_tasks", n_tasks, len(y), "samples")
    rng = generator_from(random_state)
    orders = [np.arange(X.shape[1]), *(rng.permutation(X.shape[1]) for _ in range(n_tasks - 1))]
    changes = [lambda A, order=order: A[:, order] for order in orders]
    return _domains("permuted", X, y, X_test, y_test, changes, batch_size, rng)


def rotated(
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    image_shape: tuple[int, ...],
    *,
    angles: Sequence[float] = (0, 20, 40, 60, 80),
    batch_size: int = 50,
    random_state: int | np.random.Generator | None = 0,
) -> Stream:
    """All classes in every task, images turned by the task's angle in degrees; dealt out as in :func:`permuted`.

    Parameters
    ----------
    X, y, X_test, y_test : array-like
        ``(n, n_features)`` and ``(n,)`` to learn from and to test on.
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, channels)``.
    angles : sequence of float
        Degrees, counter-clockwise: one for each task.
    batch_size : int >= 1
    random_state : int, Generator or None
        Of which sample is of which task.

    Returns
    -------
    Stream

    Raises
    ------
    ValueError
        Wrong shapes; more tasks than samples; labels that are in one of ``y`` and ``y_test`` only.
    """
    X, y, X_test, y_test = _checked(X, y, X_test, y_test, batch_size)
    image_shape = _image_shape(image_shape, X.shape[1])
    for i, angle in enumerate(angles):
        check(f"angles[{i}]", angle, ANGLE)
    _check_tasks("the number of angles", len(angles), len(y), "samples")
    changes = [lambda A, angle=angle: turned(A, image_shape, np.full(len(A), angle)) for angle in angles]
    return _domains("rotated", X, y, X_test, y_test, changes, batch_size, generator_from(random_state))


def drifting(
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    image_shape: tuple[int, ...],
    *,
    angle: float = 80.0,
    n_tasks: int = 5,
    batch_size: int = 50,
    random_state: int | np.random.Generator | None = 0,
) -> Stream:
    """All classes throughout, images turned ever further, from 0 to ``angle`` degrees, without a boundary.

    Test sets are at the middle of each of ``n_tasks`` equal stretches.

    Parameters
    ----------
    X, y, X_test, y_test : array-like
        ``(n, n_features)`` and ``(n,)`` to learn from and to test on.
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, channels)``.
    angle : float
        Degrees, counter-clockwise.
    n_tasks : int
        Test sets.
    batch_size : int >= 1
    random_state : int, Generator or None
        Of the order of the samples.

    Returns
    -------
    Stream

    Raises
    ------
    ValueError
        Wrong shapes; more tasks than samples; labels that are in one of ``y`` and ``y_test`` only.
    """
    X, y, X_test, y_test = _checked(X, y, X_test, y_test, batch_size)
    image_shape = _image_shape(image_shape, X.shape[1])
    check("angle", angle, ANGLE)
    _check_tasks("n_tasks", n_tasks, len(y), "samples")
    rows = generator_from(random_state).permutation(len(y))
    n, place = len(y), np.arange(len(y))
    middles = (np.arange(n_tasks) + 0.5) / n_tasks * angle
    classes = np.unique(y)
    return Stream(
        "drifting",
        turned(X[rows], image_shape, angle * (place / n)),
        y[rows],
        place * n_tasks // n,
        tuple((turned(X_test, image_shape, np.full(len(X_test), middle)), y_test) for middle in middles),
        classes,
        (classes,) * n_tasks,
        batch_size=batch_size,
    )


def blurred(stream: Stream, width: float = 0.2, *, random_state: int | np.random.Generator | None = 0) -> Stream:
    """The same samples, each moved by a normal step of ``width`` times the mean length of a part: tasks overlap.

    Parameters
    ----------
    stream : Stream
    width : float >= 0
    random_state : int, Generator or None

    Returns
    -------
    Stream
        Its parts are equal stretches of the stream, not tasks.
    """
    check_number("width", width, ">= 0")
    n, rng = len(stream.y), generator_from(random_state)
    n_parts = int(stream.part.max()) + 1
    rows = np.argsort(np.arange(n) + rng.normal(0, width * n / n_parts, n), kind="stable")
    return replace(
        stream,
        name=f"{stream.name}, blurred",
        X=stream.X[rows],
        y=stream.y[rows],
        part=np.arange(n) * n_parts // n,
    )


def imbalanced(stream: Stream, ratio: float = 10.0, *, random_state: int | np.random.Generator | None = 0) -> Stream:
    """The same stream with ever rarer classes, ``n_c = n_max ratio^(-c / (C - 1))``, in an order drawn at random.

    Parameters
    ----------
    stream : Stream
    ratio : float >= 1
        The commonest class over the rarest (Cui et al. 2019, arXiv:1901.05555).
    random_state : int, Generator or None
        Of the order of the classes, and of which samples stay.

    Returns
    -------
    Stream
        Its tests are those of ``stream``.
    """
    check("ratio", ratio, Number(1))
    rng = generator_from(random_state)
    largest = min(np.count_nonzero(stream.y == c) for c in stream.classes)
    sizes = np.maximum(1, np.round(largest * ratio ** -np.linspace(0, 1, len(stream.classes)))).astype(int)
    order = rng.permutation(stream.classes)
    kept = [
        rng.choice(np.flatnonzero(stream.y == c), size, replace=False) for c, size in zip(order, sizes, strict=True)
    ]
    rows = np.sort(np.concatenate(kept))
    # a part that lost all of its samples is dropped
    part = np.unique(stream.part[rows], return_inverse=True)[1]
    return replace(stream, name=f"{stream.name}, imbalanced", X=stream.X[rows], y=stream.y[rows], part=part)


def turned(X: NDArray, image_shape: tuple[int, ...], angles: NDArray) -> NDArray:
    """Images ``X (n, n_pixels)`` turned counter-clockwise by ``angles (n,)`` degrees, bilinear, black outside.

    What is no float32 becomes float64: between pixels there are no integers.
    """
    images = X.astype(X.dtype if X.dtype == np.float32 else float, copy=False).reshape(-1, *image_shape)
    out = np.empty_like(images)
    for image, angle, target in zip(images, angles, out, strict=True):
        ndimage.rotate(image, angle, axes=(1, 0), reshape=False, order=1, output=target)
    return out.reshape(X.shape)


def _domains(
    name: str,
    X: NDArray,
    y: NDArray,
    X_test: NDArray,
    y_test: NDArray,
    changes: Sequence[Callable[[NDArray], NDArray]],
    batch_size: int,
    rng: np.random.Generator,
) -> Stream:
    """Samples dealt out to tasks that share the classes and differ in what is done to ``X``."""
    rows = np.array_split(rng.permutation(len(y)), len(changes))
    classes = np.unique(y)
    return Stream(
        name,
        np.concatenate([change(X[part]) for change, part in zip(changes, rows, strict=True)]),
        y[np.concatenate(rows)],
        np.repeat(np.arange(len(changes)), [len(part) for part in rows]),
        tuple((change(X_test), y_test) for change in changes),
        classes,
        (classes,) * len(changes),
        batch_size=batch_size,
    )


def _ascends_from_0(part: NDArray) -> bool:
    """Whether no part is missing: results are kept by its number."""
    steps = np.diff(part.astype(np.int64), prepend=0)
    return not part.size or bool(part[0] == 0 and ((steps == 0) | (steps == 1)).all())


def _check_rows(X_name: str, X: NDArray, y_name: str, y: NDArray) -> None:
    if np.ndim(X) != 2 or np.shape(y) != (len(X),):
        raise ValueError(
            f"{X_name} must be (n, n_features) and {y_name} one label a row, got {np.shape(X)} and {np.shape(y)}"
        )


def _check_tasks(name: str, n_tasks: Any, most: int, of: str) -> None:
    """Raise ValueError unless each task can have at least one of what tasks are made of."""
    check(name, n_tasks, Integer(1))
    if n_tasks > most:
        raise ValueError(f"{name} must lie in [1, {most}], the number of {of}, got {n_tasks}")


def _image_shape(image_shape: Any, n_features: int) -> tuple[int, ...]:
    shape = image_shape_of(image_shape, n_features)
    if shape is None:
        raise ValueError(f"image_shape must be given: {n_features} features are no square image")
    return shape


def _checked(
    X: ArrayLike, y: ArrayLike, X_test: ArrayLike, y_test: ArrayLike, batch_size: int
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    check_count("batch_size", batch_size)
    X, X_test = plain_array(X, "X"), plain_array(X_test, "X_test")
    check_labels(y)
    check_labels(y_test, "y_test")
    y, y_test = plain_array(y, "y"), plain_array(y_test, "y_test")
    _check_rows("X", X, "y", y)
    _check_rows("X_test", X_test, "y_test", y_test)
    if X.shape[1] != X_test.shape[1]:
        raise ValueError(f"X_test must have the {X.shape[1]} features of X, got {X_test.shape[1]}")
    if missing := sorted(set(np.unique(y).tolist()) ^ set(np.unique(y_test).tolist()), key=repr):
        raise ValueError(f"y and y_test must hold the same labels; these are in one only: {missing}")
    return X, y, X_test, y_test
