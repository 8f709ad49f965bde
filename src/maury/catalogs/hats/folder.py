"""A HATS catalogue that comes into being pixel by pixel, and may be left half-way and taken up.

LSDB can go on with a catalogue that it began to write: beside the pixels' files it keeps a count of
stars and a mark for each finished pixel until it writes what is to be said of all. Workers leave
both here, in one step each and the mark last, so that nothing half-written is ever taken for done.
"""

from __future__ import annotations

import shutil
import warnings
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
from astropy.table import Table

from maury import __version__

if TYPE_CHECKING:
    from hats import HealpixPixel
    from lsdb.catalog.dataset.healpix_dataset import HealpixDataset

__all__ = [
    "begun",
    "conclude",
    "concluded",
    "finished_pixels",
    "is_finished",
    "join",
    "map_order",
    "rows_written",
    "write_pixel",
]

SCRATCH = "scratch"
CONCLUDED = "concluded"

COARSEST_MAP = 8
"""HEALPix order of the map of star counts where neither the input's map nor its pixels are finer,
as LSDB has it."""


def begun(folder: Path) -> bool:
    """Whether any pixel of the catalogues in this folder was finished."""
    from lsdb.io.to_hats import DONE_DIR_NAME

    return any(folder.glob(f"*/{DONE_DIR_NAME}/*")) or any(folder.glob(f"*/{CONCLUDED}"))


def concluded(folder: Path) -> bool:
    """Whether the catalogue is whole."""
    return (folder / CONCLUDED).exists()


def map_order(part: HealpixDataset) -> int:
    """HEALPix order of the map of star counts."""
    known = part.hc_structure.catalog_info.skymap_order
    if known is not None:
        return int(known)
    return max(COARSEST_MAP, *(pixel.order for pixel in part.get_healpix_pixels()), 0)


def finished_pixels(folder: Path) -> dict[HealpixPixel, int]:
    """Make the folder, or find what is finished in it, with the rows, and clear the rest away."""
    from hats import HealpixPixel
    from hats.io import file_io, pixel_catalog_file
    from lsdb.io.to_hats import DONE_DIR_NAME, HISTOGRAM_DIR_NAME

    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    (folder / SCRATCH).mkdir(parents=True)
    notes: defaultdict[HealpixPixel, list[Path]] = defaultdict(list)
    for kind in (DONE_DIR_NAME, HISTOGRAM_DIR_NAME):
        for file in (folder / kind).glob("*"):
            order, number, _ = file.name.split("_")
            notes[HealpixPixel(int(order), int(number))].append(file)
    rows = {}
    for pixel, files in notes.items():
        # LSDB also marks pixels without stars, which have no file, but takes up only those with.
        place = Path(pixel_catalog_file(file_io.get_upath(folder), pixel).path)
        if len(files) == 2 and place.exists():
            rows[pixel] = pq.read_metadata(place).num_rows
            continue
        for file in files:
            file.unlink()
    return rows


def is_finished(pixel: HealpixPixel, folder: Path) -> bool:
    """Whether the pixel has its mark."""
    from lsdb.io.to_hats import DONE_DIR_NAME

    return (folder / DONE_DIR_NAME / f"{pixel.order}_{pixel.pixel}_done").exists()


def write_pixel(answers: pd.DataFrame, pixel: HealpixPixel, folder: Path, order: int) -> None:
    """Write a pixel's rows, the count of its stars for a map of this order, and its mark.

    Two workers may do this at once, since Dask repeats what it believes lost.
    """
    from hats.io import file_io
    from lsdb.io.to_hats import DONE_DIR_NAME, HISTOGRAM_DIR_NAME, perform_write
    from nested_pandas import NestedFrame

    with TemporaryDirectory(dir=folder / SCRATCH) as name:
        perform_write(NestedFrame(answers), pixel, file_io.get_upath(name), order)
        for kind in ("dataset", HISTOGRAM_DIR_NAME, DONE_DIR_NAME):
            for file in [path for path in (Path(name) / kind).rglob("*") if path.is_file()]:
                place = folder / file.relative_to(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                file.replace(place)


def conclude(
    answers: HealpixDataset, folder: Path, *, columns: Table, properties: Mapping[str, str]
) -> None:
    """Write what is to be said of all pixels together.

    Parameters
    ----------
    answers : HealpixDataset
        What the pixels hold. Only those without stars are computed again.
    folder : Path
    columns : Table
        Units, descriptions and UCDs of the columns to describe.
    properties : mapping of str
        More lines for ``hats.properties``.
    """
    from hats.io.parquet_metadata import write_voparquet_in_common_metadata
    from lsdb.io import to_hats

    if concluded(folder):
        return
    shutil.rmtree(folder / SCRATCH)
    to_hats(
        answers,
        base_catalog_path=folder,
        catalog_name=folder.name,
        resume=True,
        histogram_order=map_order(answers),
        progress_bar=False,
        error_if_empty=False,
        addl_hats_properties=dict(properties),
    )
    described = columns.columns.items()
    # HATS describes columns by a VOTable, which knows neither every unit nor every type.
    with warnings.catch_warnings(), suppress(TypeError, ValueError):
        warnings.simplefilter("ignore")
        write_voparquet_in_common_metadata(
            folder,
            field_units={name: str(column.unit) for name, column in described if column.unit},
            field_descriptions={name: column.description or "" for name, column in described},
            field_ucds={name: column.meta.get("ucd", "") for name, column in described},
        )
    (folder / CONCLUDED).touch()


def rows_written(folder: Path) -> int:
    """Rows in all files, by the files themselves."""
    return int(pq.read_metadata(folder / "dataset" / "_metadata").num_rows)


def join(collection: Path, name: str, margin: str | None = None) -> None:
    """Make a HATS collection of the catalogue and its margin, and remove what only work needed."""
    from hats.catalog.dataset.collection_properties import CollectionProperties

    origin = CollectionProperties.new_provenance_dict(collection, builder=f"maury v{__version__}")
    margins = {"all_margins": margin, "default_margin": margin} if margin else {}
    CollectionProperties(
        obs_collection=name, hats_primary_table_url=name, **margins, **origin
    ).to_properties_file(collection)
    for folder in filter(None, (name, margin)):
        (collection / folder / CONCLUDED).unlink(missing_ok=True)
