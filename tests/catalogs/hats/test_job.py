"""HATS to HATS: the same stars and answers, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from maury.catalogs.hats import ClusterError, infer_hats, job
from maury.catalogs.job import infer
from maury.errors import MauryError

lsdb = pytest.importorskip("lsdb")

BANDS = ("gaia_g", "gaia_bp", "gaia_rp", "tmass_j", "tmass_k")
CORNERS = (0, 4, 5, 8)
"""HEALPix pixels of order 0 that meet in RA 45, Dec 0."""

EMPTY = 8


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection with a margin: four pixels, of which one has lost its stars."""
    rng = np.random.default_rng(0)
    stars = 160
    frame = pd.DataFrame({"name": [f"star {i}" for i in range(stars)]})
    frame["ra"], frame["dec"] = 45 + rng.uniform(-8, 8, stars), rng.uniform(-8, 8, stars)
    colour = rng.uniform(0, 1, stars)[:, None] * [0.0, 0.5, -0.7, -1.4, -2.0]
    for name, column in zip(BANDS, (15 + colour).T, strict=True):
        frame[name], frame[f"{name}_err"] = column, 0.02
    frame.loc[::7, "tmass_k"] = np.nan
    frame.loc[5::20, list(BANDS)] = np.nan
    frame["teff"] = 1.0
    folder = tmp_path_factory.mktemp("hats") / "sky"
    made = lsdb.from_dataframe(
        frame, catalog_name="sky", highest_order=0, margin_threshold=1800, moc_max_order=4
    )
    made.write_catalog(folder, progress_bar=False)
    pixel = folder / "sky" / "dataset" / "Norder=0" / "Dir=0" / f"Npix={EMPTY}.parquet"
    table = pq.read_table(pixel)
    pq.write_table(table[:0], pixel)
    for name in ("properties", "hats.properties"):
        note = folder / "sky" / name
        said = f"hats_nrows={stars}"
        assert said in note.read_text()
        note.write_text(note.read_text().replace(said, f"hats_nrows={stars - len(table)}"))
    return folder


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Two workers that are threads of this process."""
    from distributed import LocalCluster

    threads = torch.get_num_threads()
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def done(
    catalog: Path, tiny_folder: Path, scheduler: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("out") / "answers"
    rows = infer_hats(catalog, out, model=str(tiny_folder), draws=8, scheduler=scheduler)
    assert rows == len(read(catalog))
    return out


def read(catalog: Path) -> pd.DataFrame:
    """All rows, in the order of the sky."""
    return pd.DataFrame(lsdb.open_catalog(catalog, columns="all").compute(progress_bar=False))


def margin(catalog: Path) -> pd.DataFrame:
    return pd.DataFrame(
        lsdb.open_catalog(catalog, columns="all").margin.compute(progress_bar=False)
    )


def test_same_answers_as_the_local_engine(catalog: Path, done: Path, tiny_folder: Path) -> None:
    stars, found = read(catalog), read(done)
    expected = infer(stars.reset_index(drop=True), model=tiny_folder, draws=8)
    assert list(found.columns) == expected.colnames
    assert found.index.equals(stars.index)
    for name in ("name", "ra", "dec"):
        assert found[name].equals(stars[name])
    assert (found["input_teff"] == 1).all()
    for name in expected.colnames[4:]:
        np.testing.assert_allclose(
            found[name].to_numpy(dtype=float, na_value=np.nan), expected[name], rtol=1e-5, atol=1e-5
        )
    assert 0 < np.isnan(expected["teff"]).sum() < 10


def test_same_pixels_and_margin(catalog: Path, done: Path) -> None:
    stars, found = lsdb.open_catalog(catalog), lsdb.open_catalog(done)
    pixels = [pixel.pixel for pixel in found.get_healpix_pixels()]
    assert [pixel.pixel for pixel in stars.get_healpix_pixels()] == list(CORNERS)
    assert pixels == [pixel for pixel in CORNERS if pixel != EMPTY]
    outskirts, main = margin(done), read(done).set_index("name")
    assert outskirts.index.equals(margin(catalog).index)
    shared = outskirts[outskirts["name"].isin(main.index)]
    assert len(shared) > 3
    np.testing.assert_allclose(
        main.loc[shared["name"], "logg"].astype(float), shared["logg"].astype(float), rtol=1e-5
    )


def test_rows_crossmatch_with_the_input(catalog: Path, done: Path) -> None:
    pairs = (
        lsdb.open_catalog(catalog)
        .crossmatch(
            lsdb.open_catalog(done),
            radius_arcsec=0.1,
            suffixes=("_in", "_out"),
            suffix_method="all_columns",
        )
        .compute(progress_bar=False)
    )
    assert sorted(pairs["name_in"]) == sorted(read(catalog)["name"])
    assert (pairs["name_in"] == pairs["name_out"]).all()


def test_columns_are_described(done: Path) -> None:
    notes = pq.read_schema(done / "answers" / "dataset" / "_common_metadata").metadata
    table = notes[b"IVOA.VOTable-Parquet.content"].decode()
    assert 'ucd="phys.temperature.effective;stat.median"' in table
    assert 'unit="K"' in table
    properties = (done / "answers" / "hats.properties").read_text()
    assert "maury_model=tiny" in properties


def test_nothing_of_the_work_is_left(done: Path) -> None:
    assert [path.name for path in done.parent.iterdir()] == ["answers"]
    left = {path.name for path in done.rglob("*") if path.is_dir() and "=" not in path.name}
    assert left == {"answers", "answers_1800arcs", "dataset"}
    assert not list(done.rglob("concluded"))


# -- refusals --------------------------------------------------------------------------------


def test_an_output_that_exists_is_spared(catalog: Path, done: Path, tiny_folder: Path) -> None:
    with pytest.raises(MauryError, match="exists already"):
        infer_hats(catalog, done, model=str(tiny_folder))


def test_a_folder_that_is_in_the_way_is_spared(
    catalog: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.parts").mkdir()
    (tmp_path / "out.parts" / "mine").touch()
    with pytest.raises(MauryError, match="in the way"):
        infer_hats(catalog, tmp_path / "out", model=str(tiny_folder))
    assert (tmp_path / "out.parts" / "mine").exists()


def test_what_is_no_catalogue_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(MauryError, match="HATS catalogue is expected"):
            infer_hats(place, tmp_path / "out", model=str(tiny_folder))
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_data_is_the_users(
    catalog: Path,
    scheduler: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> pd.DataFrame:
        raise MauryError("column 'x' holds text")

    monkeypatch.setattr(job, "_of_worker", refuse)
    with pytest.raises(MauryError, match="column 'x' holds text") as caught:
        infer_hats(catalog, tmp_path / "out", model=str(tiny_folder), scheduler=scheduler)
    assert not isinstance(caught.value, ClusterError)
    assert not list(tmp_path.iterdir())


# -- failures --------------------------------------------------------------------------------


def same(one: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(read(one), read(other), rtol=1e-5, atol=1e-5)
    pd.testing.assert_frame_equal(margin(one), margin(other), rtol=1e-5, atol=1e-5)


def test_a_job_goes_on_where_it_failed(
    catalog: Path,
    done: Path,
    scheduler: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, written = job.write_pixel, []

    def full(answers: pd.DataFrame, pixel: Any, folder: Path, order: int) -> None:
        if len(written) == 2:
            raise OSError("no space left on device")
        write(answers, pixel, folder, order)
        written.append(folder / str(pixel))

    def run(seed: int = 0, **more: Any) -> int:
        out = tmp_path / "answers"
        return infer_hats(
            catalog, out, model=str(tiny_folder), draws=8, seed=seed, scheduler=scheduler, **more
        )

    monkeypatch.setattr(job, "write_pixel", full)
    with pytest.raises(ClusterError, match=r"no space left.*--resume"):
        run()
    assert not (tmp_path / "answers").exists()
    with pytest.raises(MauryError, match="unfinished run"):
        run()
    with pytest.raises(MauryError, match="seed was 0, now 1"):
        run(seed=1, resume=True)
    first = list(written)
    written.clear()
    monkeypatch.setattr(
        job, "write_pixel", lambda *told: (written.append(told[2] / str(told[1])), write(*told))
    )
    run(resume=True)
    assert not set(first) & set(written)
    same(tmp_path / "answers", done)


def test_a_killed_worker_loses_nothing(
    catalog: Path,
    done: Path,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finish, calls = job._finish, str(tmp_path / "calls")

    def die_once(frame: pd.DataFrame, pixel: Any, *told: Any) -> pd.DataFrame:
        if len(frame) and not job.is_finished(pixel, Path(told[1])):
            with open(calls, "a+") as file:
                file.write(f"{told[1]} {pixel}\n")
                file.seek(0)
                half_way = len(file.readlines()) == 2
            if half_way:
                os.kill(os.getpid(), signal.SIGKILL)
        return finish(frame, pixel, *told)

    monkeypatch.setattr(job, "_finish", die_once)
    out = tmp_path / "answers"
    rows = infer_hats(catalog, out, model=str(tiny_folder), draws=8, device="cpu", workers=1)
    assert rows == len(read(catalog))
    same(out, done)
    # Only the pixel that was in hand has been answered twice.
    begun = Path(calls).read_text().splitlines()
    assert len(begun) == len(set(begun)) + 1
