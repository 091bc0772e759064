"""The matrix: every supported Python, the oldest dependencies, lint, sanitizers, coverage; ``nox --list`` names all.

One session: ``nox -s tests-3.12``; arguments for pytest behind ``--``.
"""

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PYTEST = ("pytest", "-n", "auto", "--dist", "worksteal")
#: Threads of BLAS that wait for work would be in the way of tests on every core.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


@nox.session(python=PYTHONS)
def tests(session):
    """The tests, on an installed wheel."""
    session.install(".[test]")
    session.run(*PYTEST, *session.posargs, env=ENVIRONMENT)


@nox.session(python=PYTHONS[0])
def oldest(session):
    """The tests of the library with the oldest versions that pyproject.toml allows."""
    needed = nox.project.load_toml("pyproject.toml")["project"]["dependencies"]
    session.install(".[test]")
    session.install(*(need.replace(">=", "==") + ".*" for need in needed))
    session.run(*PYTEST, *session.posargs, env=ENVIRONMENT)


@nox.session(python=PYTHONS)
def core(session):
    """Import and first fit with no more than the core dependencies."""
    session.install(".")
    first_fit = (
        "import bioneuro as bn; d = bn.datasets.load('digits'); "
        "print(bn.BioClassifier(random_state=0).fit(d.X_train, d.y_train).score(d.X_test, d.y_test))"
    )
    session.chdir(session.create_tmp())
    session.run("python", "-c", first_fit)


@nox.session
def lint(session):
    """What `make lint` runs."""
    session.run("make", "lint-tools", "lint", f"PYTHON={session.virtualenv.bin}/python", external=True)


@nox.session
def sanitize(session):
    """Kernels and their tests under AddressSanitizer and UBSan."""
    session.install(".[test]")
    session.run("make", "sanitize", f"PYTHON={session.virtualenv.bin}/python", external=True)


@nox.session
def coverage(session):
    """Which lines and branches of Python and C the tests reach."""
    session.install(".[test,coverage]")
    session.run("make", "coverage", f"PYTHON={session.virtualenv.bin}/python", external=True)
