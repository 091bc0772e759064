"""The page of a comparison: what it holds is what the folder holds, and it needs nothing else."""

import base64
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import asdict
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from bioneuro.research.commands import Parser, compare, main
from bioneuro.research.comparison import html_report
from bioneuro.research.comparison.plan import ComparisonPlan
from bioneuro.research.records.arrays import keep_arrays
from bioneuro.research.records.ledger import ModelLedger, Row

OURS, REFERENCE = 'ours <b>"&', "reference"
VOID = {"meta", "img"}
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Tables as lists of rows, pictures, text, and every attribute; tags that are not closed in order are an error."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.pictures, self.words, self.attributes, self.tags = [], [], [], [], [], set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "img":
            self.pictures.append(dict(attributes)["src"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def table(self, *columns):
        """The one table that starts with these columns."""
        (found,) = (rows for rows in self.tables if rows[0][: len(columns)] == list(columns))
        return pd.DataFrame(found[1:], columns=found[0])


def rows_of(model, seed, rng):
    def row(metric, setting="", value=None, note=""):
        return Row(model, "votes", seed, metric, setting, float(rng.random() if value is None else value), note)

    yield from (row("accuracy"), row("density", "association"), row("train_seconds", "100", 1.5, "eta=1; <i>"))
    yield from (row("low_data_accuracy", shots) for shots in ("1", "10"))
    yield from (row("robust_accuracy", epsilon) for epsilon in ("0", "0.1"))
    yield from (row("robust_accuracy_l2", "1"), row("stream_accuracy"), row("dale_index", "smallest", 1))
    yield row("aic_behind_best", "association E", 3, "lognormal")
    yield row("audit", "steps", 0.5, "warn" if model == OURS else "pass")


def folder_of(folder, rivals=False, n_seeds=3, **changes):
    plan = ComparisonPlan.for_dataset("digits", 1297, n_train=100, quick=True, epsilons=[0.1], rivals=rivals, **changes)
    rng = np.random.default_rng(0)
    environment = {"bioneuro": "1.2.3", "compiler": "cc <fast> & more"}
    ledger = ModelLedger(folder, asdict(plan) | {"models": {OURS: {"eta": "1"}}}, environment)
    for seed in range(n_seeds):
        for model in (OURS, REFERENCE):
            ledger.add_rows(rows_of(model, seed, rng))
    keep_arrays(folder / "weights" / "bioneuro.npz", weights=rng.lognormal(size=500))
    return folder, plan


@pytest.fixture(autouse=True, scope="module")
def _sides():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html_report, "sides", lambda: ([OURS], [REFERENCE]))
        yield


usual_or_chosen = {"params": [False, True], "ids": ["usual", "chosen models"]}


@pytest.fixture(**usual_or_chosen)
def kept(request, tmp_path):
    return folder_of(tmp_path / "kept", rivals=request.param)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder, plan, page and text, without or with rivals: made once, for tests that only read them."""

    @cache
    def of(rivals):
        folder, plan = folder_of(tmp_path_factory.mktemp("kept"), rivals=rivals)
        return folder, plan, *written(folder)

    return of


@pytest.fixture(**usual_or_chosen)
def read(request, made):
    return made(request.param)


def written(folder):
    assert main(["report", str(folder)]) == 0
    text = (folder / "report.html").read_text(encoding="utf-8")
    return Page(text), text


def test_the_command_says_what_it_wrote(kept, capsys):
    assert main(["report", str(kept[0])]) == 0
    assert capsys.readouterr().out == f"Written: {kept[0] / 'report.html'}\n"


def test_page_refers_to_nothing_outside(read):
    _, _, page, text = read
    assert not {"link", "iframe", "object", "embed", "base", "a"} & page.tags
    named = {"src", "href", "srcset", "action", "data", "poster"}
    assert all(value.startswith("data:image/svg+xml;base64,") for name, value in page.attributes if name in named)
    assert not re.search(
        r"https?:|//[a-z]|url\(|@import|fetch\(|XMLHttp|import\(", re.sub(r'src="data:[^"]*"', "", text)
    )
    assert "default-src 'none'" in text
    for picture in page.pictures:
        drawing = base64.b64decode(picture.partition(",")[2]).decode()
        assert "<svg" in drawing and not re.search(r'(href="(?!#|data:)|url\((?!#))', drawing)


def test_text_is_escaped(read):
    _, _, page, text = read
    assert OURS in "".join(page.words) and "<fast> & more" in "".join(page.words)
    assert not {"b", "i", "fast"} & page.tags


def test_all_rows_are_those_of_the_ledger(read):
    folder, _, page, _ = read
    frame = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    shown = page.table("model", "readout", "seed")
    assert shown.drop(columns="value").equals(frame.drop(columns="value"))
    assert (shown["value"].astype(float) == frame["value"].astype(float)).all()


def test_results_are_means_of_the_ledger(made):
    folder, _, page, _ = made(False)
    frame = pd.read_csv(folder / "results.csv", dtype={"setting": str}, keep_default_na=False)
    shown = page.table("model", "readout", "clean accuracy, %").set_index("model")
    for column, metric, setting in (("clean accuracy, %", "accuracy", ""), ("PGD ε = 0.1, %", "robust_accuracy", "0.1"),
                                    ("k = 10 images a class, %", "low_data_accuracy", "10")):  # fmt: skip
        values = frame[(frame["metric"] == metric) & (frame["setting"] == setting)]
        for model, part in values.groupby("model"):
            mean = shown.loc[model, column].removeprefix("≤ ").split(" ± ")[0]
            assert mean == f"{100 * part['value'].mean():.1f}"
    assert shown.loc[OURS, "PGD ε = 0.1, %"].startswith("≤ ")  # its audit warns
    differences = page.table("model", "minus")
    at = frame[frame["metric"] == "accuracy"].groupby("model")["value"].mean()
    row = differences[differences["at"] == "clean accuracy"].iloc[0]
    assert row["difference"] == f"{100 * (at[OURS] - at[REFERENCE]):+.1f}"


def test_page_has_verdict_figures_environment_and_configuration(made):
    _, plan, page, text = made(False)
    words = "".join(page.words)
    assert f"{OURS} against {REFERENCE}: WORSE at " in words
    assert "QUICK RUN" in words and "100 training images" in words
    assert len(page.pictures) == 4
    assert page.table("name", "value").to_numpy().tolist() == [["bioneuro", "1.2.3"], ["compiler", "cc <fast> & more"]]
    assert json.dumps(plan.shots[0]) in words and '"pgd_steps": 5' in words
    assert "prefers-color-scheme: dark" in text


def test_page_of_chosen_models_has_ranks_and_every_criterion(made):
    page = made(True)[2]
    assert len(page.pictures) == 1
    assert set(page.table("model", "clean")["model"]) == {OURS, REFERENCE}
    assert any(words.startswith(f"Better than {OURS}, ") for words in page.words)
    assert "clean" in set(page.table("criterion", "how many")["criterion"])


@pytest.mark.parametrize("rivals", [False, True])
@pytest.mark.parametrize("n_attacked", [None, 7])
def test_command_makes_the_same_plan(tmp_path, rivals, n_attacked):
    folder, plan = folder_of(tmp_path / "a folder", rivals, n_attacked=n_attacked)
    page, _ = written(folder)
    (command,) = (words for words in page.words if words.startswith("python -m bioneuro compare "))
    parser = Parser()
    compare.add_options(parser)
    options = parser.parse_args(shlex.split(command)[4:])
    again = ComparisonPlan.for_dataset(options.dataset, 1297, n_train=options.n_train, quick=options.quick,
                                       epsilons=options.epsilons, rivals=options.models is not None,
                                       n_attacked=options.n_attacked)  # fmt: skip
    assert again == plan and options.seeds == 3 and options.out == folder
    assert options.models == ([OURS, REFERENCE] if rivals else None)


def test_same_folder_same_page(kept):
    assert written(kept[0])[1] == written(kept[0])[1]


def test_one_seed_has_a_page_without_intervals(tmp_path):
    page, _ = written(folder_of(tmp_path / "kept", n_seeds=1)[0])
    assert "so no interval" in "".join(page.words)


def test_nothing_but_the_page_is_written(kept):
    before = {path: path.read_bytes() for path in kept[0].rglob("*") if path.is_file()}
    written(kept[0])
    after = {path: path.read_bytes() for path in kept[0].rglob("*") if path.is_file()}
    assert after.keys() - before.keys() == {kept[0] / "report.html"}
    assert before.items() <= after.items()


def refused(capsys, folder):
    before = set(folder.rglob("*")) if folder.exists() else None
    assert main(["report", str(folder)]) == 2
    assert (set(folder.rglob("*")) if folder.exists() else None) == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_folder_that_is_not_there(capsys, tmp_path):
    assert "holds no results: there is no results.csv" in refused(capsys, tmp_path / "no")


def test_folder_of_another_command(capsys, tmp_path):
    ledger = ModelLedger(tmp_path, {"attack": "apgd"}, {})
    ledger.add_rows([Row("m", "r", 0, "accuracy", "", 0.5, "")])
    assert "results of another command than compare" in refused(capsys, tmp_path)


def test_nothing_finished(capsys, tmp_path):
    (tmp_path / "results.csv").write_text(",".join(Row._fields) + "\n")
    (tmp_path / "configuration.json").write_text("{}")
    assert "nothing is finished yet" in refused(capsys, tmp_path)


def test_files_that_cannot_be_read(capsys, kept):
    (kept[0] / "configuration.json").write_text("[")
    assert "is not a configuration" in refused(capsys, kept[0])
    (kept[0] / "results.csv").write_text("a,b\n1,2\n")
    assert "is not a table of results" in refused(capsys, kept[0])


@pytest.mark.skipif(BROWSER is None, reason="there is no browser")
def test_click_sorts_in_a_browser(made, tmp_path):
    text = made(False)[3]
    clicks = "const heads = [...document.querySelectorAll('th')].filter(h => h.textContent === 'clean accuracy, %');"
    shown = []
    for n in (1, 2):
        script = f"<script>{clicks} for (let i = 0; i < {n}; i++) heads[0].firstChild.click()</script></body>"
        (tmp_path / "clicked.html").write_text(text.replace("</body>", script), encoding="utf-8")
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
                   "--dump-dom", (tmp_path / "clicked.html").as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        rows = Page(done.stdout.strip()).table("model", "readout", "clean accuracy, %")
        shown.append([float(cell.split(" ± ")[0]) for cell in rows["clean accuracy, %"]])
    assert shown[0] == sorted(shown[0]) and shown[1] == shown[0][::-1] and len(set(shown[0])) == 2
