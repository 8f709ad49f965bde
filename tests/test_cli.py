"""The command line: one line on stderr for what is wrong, and never a traceback."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tomli_w

import maury
from maury import cli
from maury.catalogs.readers import read_table

GOOD = "id,gaia_g,gaia_g_err,gaia_bp,gaia_bp_err,tmass_k,tmass_k_err\n"
ROW = "7,15.0,0.02,15.3,0.02,13.4,0.03\n"


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Runner:
    """Runs a command in this process, through the same door as the shell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = monkeypatch, capsys

    def __call__(self, *words: object) -> Result:
        self._patch.setattr(sys, "argv", ["maury", *map(str, words)])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        printed = self._capture.readouterr()
        assert "Traceback" not in printed.err
        return Result(code, printed.out, printed.err)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(monkeypatch, capsys)


def refused(result: Result, *words: str) -> None:
    """One line that names what is wrong, and exit code 2."""
    assert result.code == 2, result.err
    lines = [line for line in result.err.splitlines() if not line.startswith("Warning:")]
    assert len(lines) == 1, result.err
    assert lines[0].startswith("Error:")
    for word in words:
        assert word in lines[0]


def infer(run: Runner, folder: Path, text: str | bytes, model: Path, *more: object) -> Result:
    path = folder / "in.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run("infer", path, "-o", folder / "out.csv", "--model", model, "--draws", 8, *more)


def test_a_catalogue_is_answered(run: Runner, tmp_path: Path, tiny_folder: Path) -> None:
    result = infer(run, tmp_path, GOOD + ROW, tiny_folder)
    assert result == (0, "", f"{tmp_path / 'out.csv'}: 1 stars\n")
    table = read_table(tmp_path / "out.csv")
    assert table["id"][0] == 7
    assert 2300 < table["teff_lo"][0] < table["teff_hi"][0] < 50000


BAD = {
    "garbage": (b"\x00\x01\xfe\xff" * 99, "in.csv"),
    "no byte": (b"", "in.csv"),
    "no band": ("id,ra\n1,2.0\n", "no column is of use"),
    "text": (GOOD + "7,15.0,0.02,15.3,0.02,faint,0.03\n", "'tmass_k' holds text"),
    "text for errors": (GOOD + "7,15.0,0.02,15.3,0.02,13.4,small\n", "'tmass_k_err' holds text"),
    "a column twice": ("gaia_g,gaia_g\n15,15\n", "'gaia_g'"),
    "two columns for a band": ("gaia_g,phot_g_mean_mag\n15,15\n", "both hold GAIA/GAIA3.G"),
    "knowledge without error": (GOOD[:-1] + ",prior_a_v\n" + ROW[:-1] + ",0.3\n", "prior_a_v"),
    "a short row": (GOOD + "7,15.0\n", "in.csv"),
    "latin letters": (b"name,gaia_g,gaia_g_err\n\xe9toile,15.0,0.02\n", "'name' is in another"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_catalogue_is_one_line(
    run: Runner, tmp_path: Path, tiny_folder: Path, case: str
) -> None:
    text, word = BAD[case]
    refused(infer(run, tmp_path, text, tiny_folder), word)
    assert not (tmp_path / "out.csv").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


BAD_ROWS = {
    "99": "9,99,0.02,99.999,0.02,99,0.02\n",
    "-999": "9,-999,-999,-999,-999,-999,-999\n",
    "infinite": "9,inf,0.02,-inf,0.02,inf,inf\n",
    "errors": "9,15.0,0,15.0,-1,13.0,nan\n",
    "a word": "9,bad,0.02,15.3,oops,13.4,?\n",
    "empty": "9,,,,,,\n",
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_kept_and_harms_no_other(
    run: Runner, tmp_path: Path, tiny_folder: Path, case: str
) -> None:
    infer(run, tmp_path, GOOD + ROW, tiny_folder)
    alone = read_table(tmp_path / "out.csv")
    assert infer(run, tmp_path, GOOD + BAD_ROWS[case] + ROW, tiny_folder).code == 0
    both = read_table(tmp_path / "out.csv")
    assert both["id"].tolist() == [9, 7]
    assert both["flags"][0] & 1
    assert bool(both["flags"][0] & 16) == (case != "empty")
    assert both["flags"][1] == alone["flags"][0]
    for name in alone.colnames[1:]:
        assert both[name][1] == pytest.approx(alone[name][0], rel=1e-5)


def test_an_empty_table_is_an_empty_output(run: Runner, tmp_path: Path, tiny_folder: Path) -> None:
    result = infer(run, tmp_path, GOOD, tiny_folder)
    assert result == (0, "", f"{tmp_path / 'out.csv'}: 0 stars\n")
    assert (tmp_path / "out.csv").read_text().count("\n") == 1


def test_what_the_model_does_not_know_is_one_warning(
    run: Runner, tmp_path: Path, tiny_folder: Path
) -> None:
    head = GOOD[:-1] + ",note,parallax,parallax_err,sdss_u,sdss_u_err\n"
    result = infer(run, tmp_path, head + ROW[:-1] + ",hello,5.0,0.1,17.0,0.1\n", tiny_folder)
    assert result.code == 0
    (warning, _) = result.err.splitlines()
    assert warning.startswith("Warning:")
    assert "parallax" in warning
    assert "SLOAN/SDSS.u" in warning
    table = read_table(tmp_path / "out.csv")
    assert table["note"][0] == "hello"
    assert "parallax" not in table.colnames


def test_brackets_in_names_are_not_taken_for_markup(
    run: Runner, tmp_path: Path, tiny_folder: Path
) -> None:
    refused(run("infer", tmp_path / "[/a].fits", "-o", "x.fits", "--model", tiny_folder), "[/a]")
    folder = tmp_path / "[red]"
    folder.mkdir()
    assert "[red]" in infer(run, folder, GOOD + ROW, tiny_folder).err


def test_the_catalogue_is_never_written_over(
    run: Runner, tmp_path: Path, tiny_folder: Path
) -> None:
    (tmp_path / "in.csv").write_text(GOOD + ROW)
    (tmp_path / "link.csv").symlink_to(tmp_path / "in.csv")
    source, model = tmp_path / "in.csv", ("--model", tiny_folder)
    for name in ("in.csv", "link.csv"):
        place = tmp_path / name
        refused(run("infer", source, "-o", place, *model), name, "the catalogue itself")
        more = ("-o", tmp_path / "o.fits", "--save-draws", place)
        refused(run("infer", source, *more, *model), name, "the catalogue itself")
    assert source.read_text() == GOOD + ROW


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
def test_other_separators_are_told(
    run: Runner, tmp_path: Path, tiny_folder: Path, separator: str
) -> None:
    text = (GOOD + ROW).replace(",", separator)
    refused(infer(run, tmp_path, text, tiny_folder), "in.csv", repr(separator), "commas")


def test_what_memory_cannot_hold_is_one_line(
    run: Runner, tmp_path: Path, tiny_folder: Path
) -> None:
    result = infer(run, tmp_path, GOOD + ROW, tiny_folder, "--draws", 10**12)
    assert result == (1, "", "Error: out of memory: ask for fewer draws or fewer stars\n")


def test_results_that_have_no_place_are_refused_before_the_work(
    run: Runner, tmp_path: Path, tiny_folder: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    config = tiny_folder / "config.toml"
    for place in (file, file / "below"):
        refused(run("train", config, "-o", place), str(place), "is a file")
        refused(run("calibrate", tiny_folder, "-o", place), str(place), "is a file")
        refused(run("evaluate", tiny_folder, "--catalog", "x", "-o", place), "is a file")
    refused(run("simulate", config, "-o", tmp_path / "no" / "x.fits"), "no folder")
    assert file.read_text() == "kept"


def test_version(run: Runner) -> None:
    result = run("--version")
    assert (result.code, result.out) == (0, f"maury {maury.__version__}\n")


def test_files_that_cannot_be(run: Runner, tmp_path: Path, tiny_folder: Path) -> None:
    missing = tmp_path / "nothing.fits"
    refused(run("infer", missing, "-o", tmp_path / "o.fits", "--model", tiny_folder), "no such")
    refused(run("infer", missing, "-o", tmp_path / "o.xyz", "--model", tiny_folder), "o.xyz")
    refused(run("infer", missing, "-o", "/nowhere/o.fits", "--model", tiny_folder), "/nowhere")
    refused(infer(run, tmp_path, GOOD + ROW, tmp_path / "none"), "no model")
    refused(infer(run, tmp_path, GOOD + ROW, tiny_folder, "--device", "abacus"), "abacus")
    refused(infer(run, tmp_path, GOOD + ROW, tiny_folder, "--device", "meta"), "meta")
    refused(infer(run, tmp_path, GOOD + ROW, tiny_folder, "--columns", missing), "nothing.fits")


@pytest.mark.parametrize(
    "words",
    [
        ("infer",),
        ("infer", "a.csv", "-o", "b.csv", "--draws", "0"),
        ("infer", "a.csv", "-o", "b.csv", "--draws", "many"),
        ("infer", "a.csv", "-o", "b.csv", "--seed", "-1"),
        ("infer", "a.csv", "-o", "b.csv", "--seed", str(2**64)),
        ("infer", "a.csv", "-o", "b.csv", "--speed", "1"),
        ("dance",),
    ],
)
def test_wrong_usage_is_exit_2(run: Runner, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.code == 2
    assert result.err


@pytest.mark.parametrize(
    "command", ["infer", "simulate", "train", "evaluate", "calibrate", "bands", "models"]
)
def test_every_command_has_help(run: Runner, command: str) -> None:
    result = run(command, "--help")
    assert result.code == 0
    assert command in result.out


def test_columns_of_the_users_own(run: Runner, tmp_path: Path, tiny_folder: Path) -> None:
    mapping = tmp_path / "map.toml"
    mapping.write_text('"2MASS/2MASS.Ks" = ["k", "dk"]\n')
    text = (GOOD + ROW).replace("tmass_k_err", "dk").replace("tmass_k", "k")
    assert infer(run, tmp_path, text, tiny_folder, "--columns", mapping).code == 0
    mine = read_table(tmp_path / "out.csv")
    infer(run, tmp_path, GOOD + ROW, tiny_folder)
    assert mine["teff"][0] == pytest.approx(read_table(tmp_path / "out.csv")["teff"][0], rel=1e-6)
    mapping.write_text('"2MASS/2MASS.Ks" = ["kk", "dk"]\n')
    refused(infer(run, tmp_path, text, tiny_folder, "--columns", mapping), "'kk'")
    mapping.write_text("not toml")
    refused(infer(run, tmp_path, text, tiny_folder, "--columns", mapping), "map.toml")


def test_simulate_train_infer_evaluate_calibrate(
    run: Runner, tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from maury.training import loop

    monkeypatch.setattr(loop, "SCALE_STARS", 2000)
    config, model, mock = tmp_path / "tiny.toml", tmp_path / "model", tmp_path / "mock.parquet"
    short = {"steps": 6, "batch_size": 32, "validation_stars": 64, "validate_every": 2}
    config.write_text(tomli_w.dumps(tiny | {"training": short}))
    assert run("simulate", config, "-n", 50, "-o", mock).code == 0
    assert run("train", config, "-o", model, "--device", "cpu").code == 0
    refused(run("train", config, "-o", model), "holds a training run already")
    assert run("train", config, "-o", model, "--resume").code == 0
    assert run("infer", mock, "-o", tmp_path / "o.fits", "--model", model).code == 0
    assert len(read_table(tmp_path / "o.fits")) == 50
    result = run("evaluate", model, "--catalog", mock, "-o", tmp_path / "e", "--draws", 50)
    assert result.code == 0
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert np.isfinite(metrics["teff"]["rms"])
    result = run("calibrate", model, "-o", tmp_path / "c", "-n", 40, "--draws", 50)
    assert result.code == 0
    assert (tmp_path / "c" / "metrics.json").exists()


def test_calibrate_judges_the_probability_of_youth(run: Runner, tmp_path: Path) -> None:
    result = run("calibrate", "maury-base", "-o", tmp_path, "-n", 100, "--draws", 40)
    assert result.code == 0
    curve = json.loads((tmp_path / "p_young.json").read_text())
    assert sum(curve["count"]) == 100
    assert curve["roc_area"] > 0.7
    assert (tmp_path / "p_young.png").exists()
    assert (tmp_path / "young" / "metrics.json").exists()


def test_a_config_that_is_wrong_is_one_line(
    run: Runner, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    config = tmp_path / "c.toml"
    refused(run("train", config, "-o", tmp_path / "m"), "c.toml", "no such config")
    config.write_text("name = [")
    refused(run("train", config, "-o", tmp_path / "m"), "c.toml")
    cases = [
        ("simulator", {"bands": ["GAIA/GAIA3.X"]}, "GAIA/GAIA3.X"),
        ("simulator", {"bands": ["2MASS/2MASS.J", "2MASS/2MASS.J"]}, "2MASS/2MASS.J"),
        ("simulator", {"library": "alexandria"}, "alexandria"),
        ("simulator", {"prior": "halo"}, "simulator.prior"),
        ("training", {"steps": 0}, "training.steps"),
    ]
    for section, entry, word in cases:
        config.write_text(tomli_w.dumps(tiny | {section: tiny[section] | entry}))
        refused(run("simulate", config, "-n", 5, "-o", tmp_path / "m.csv"), word)
    heads = {"kind": "set_transformer", "width": 32, "layers": 1, "heads": 5, "feedforward": 8}
    config.write_text(tomli_w.dumps(tiny | {"network": tiny["network"] | {"encoder": heads}}))
    refused(run("train", config, "-o", tmp_path / "m"), "heads")


def test_a_damaged_model_is_one_line(run: Runner, tmp_path: Path, tiny_folder: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    raw = (tiny_folder / "model.safetensors").read_bytes()
    (model / "config.toml").write_bytes((tiny_folder / "config.toml").read_bytes())
    refused(infer(run, tmp_path, GOOD + ROW, model), "model.safetensors", "missing")
    (model / "model.safetensors").write_bytes(raw[:-10])
    refused(infer(run, tmp_path, GOOD + ROW, model), "model.safetensors")


def test_lists(run: Runner) -> None:
    result = run("bands")
    assert result.code == 0
    assert "2MASS/2MASS.Ks" in result.out
    assert run("models").code == 0


def test_the_shell_gets_the_same(tmp_path: Path) -> None:
    """Once as a program of its own: exit code, and an error that is one line without traceback."""
    program = "from maury.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "infer", "no.fits", "-o", str(tmp_path / "o.fits")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "Error: no.fits: no such file\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAURY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "cache"


def test_libraries_are_listed_and_had(run: Runner, cache: Path, tmp_path: Path) -> None:
    from maury.sky.libraries.grid import log_black_body

    wave = np.geomspace(1000, 300000, 300)
    teff, logg = (x.ravel() for x in np.meshgrid([5000.0, 6000.0], [4.0, 5.0]))
    flam = 10 ** log_black_body(wave, teff[:, None])
    grid = tmp_path / "grid.npz"
    np.savez(grid, wave=wave, teff=teff, logg=logg, feh=np.zeros(4), flam=flam)
    listed = run("libraries")
    assert listed.code == 0
    assert "packaged" in listed.out
    assert "yes" not in listed.out
    assert str(cache) in listed.err
    assert "bosz-r50000" in listed.out
    refused(run("libraries", "compare", "ck04", grid, "-o", tmp_path / "no"), "fetch ck04")
    had = run("libraries", "fetch", "ck04", "--from", grid)
    assert had.code == 0
    assert (cache / "libraries/ck04.safetensors").is_file()
    assert run("libraries").out.count("yes") == 1
    compared = run("libraries", "compare", "ck04", grid, "-o", tmp_path / "report")
    assert compared.code == 0
    assert "+0.000" in compared.out
    assert (tmp_path / "report/hr.png").is_file()


def test_libraries_offline(run: Runner, cache: Path) -> None:
    result = run("libraries", "fetch", "ck04", "--mirror", "http://no-such-host.invalid/grid")
    assert result.code == 1
    assert "offline?" in result.err
    assert len(result.err.strip().splitlines()) == 1
    refused(run("libraries", "fetch", "marcs"), "marcs", "phoenix")
