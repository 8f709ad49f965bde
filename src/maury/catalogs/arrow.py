"""Between astropy tables and arrow tables, without losing integers, masks or descriptions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.table import Column, MaskedColumn, Table
from astropy.table.serialize import represent_mixins_as_columns

from maury.errors import MauryError

__all__ = ["as_table", "as_text", "from_arrow", "notes_of", "plain_columns", "to_arrow"]

_FIELDS = ("unit", "description", "ucd")


def as_table(catalog: Any) -> Table:
    """An astropy table of an astropy Table, a pandas DataFrame or a pyarrow Table.

    Raises
    ------
    MauryError
        If it is none of them, or two columns share a name.
    """
    if isinstance(catalog, Table):
        return catalog
    if isinstance(catalog, pd.DataFrame):
        try:
            catalog = pa.Table.from_pandas(catalog)
        except (pa.ArrowException, ValueError, TypeError) as problem:
            raise MauryError(f"this DataFrame cannot be read: {problem}") from None
    if isinstance(catalog, pa.Table):
        return from_arrow(catalog)
    raise MauryError(
        f"a {type(catalog).__name__} is no table: give an astropy Table, a pandas DataFrame, a "
        "pyarrow Table or the path of a file"
    )


def from_arrow(table: pa.Table) -> Table:
    """An astropy table; nulls are masked, 64-bit identifiers stay exact, dates become ISO text."""
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise MauryError(f"two columns are called {twice!r}; names must be distinct")
    result = Table()
    for index, field in enumerate(table.schema):
        column = _to_column(table.column(index))
        noted = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        column.unit = noted.get("unit")
        column.description = noted.get("description")
        if "ucd" in noted:
            column.meta["ucd"] = noted["ucd"]
        result[field.name] = column
    return result


def to_arrow(table: Table) -> pa.Table:
    """An arrow table; units, descriptions and UCDs become metadata of its fields."""
    arrays, fields = [], []
    for name, column in plain_columns(table).items():
        array = _to_array(column, name)
        noted = {
            key: str(value)
            for key, value in zip(
                _FIELDS,
                (column.unit, column.description, column.meta.get("ucd")),
                strict=True,
            )
            if value
        }
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=noted or None))
    meta = {
        str(key): value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in table.meta.items()
    }
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=meta or None))


def notes_of(table: pa.Table) -> dict[str, str]:
    """The metadata of an arrow table that `to_arrow` made."""
    return {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}


def as_text(column: Column) -> Column:
    """Mixed cells as text, None as empty text, for formats that have no such cells.

    Raises
    ------
    MauryError
        If the cells are lists.
    """
    if any(isinstance(cell, list | dict | np.ndarray) for cell in column):
        raise MauryError(
            f"column {column.name!r} holds lists, which this format cannot: write ECSV or Parquet"
        )
    text = np.array(["" if cell is None else str(cell) for cell in column], dtype=np.str_)
    return Column(
        text,
        name=column.name,
        unit=column.unit,
        description=column.description,
        meta=column.meta,
    )


def plain_columns(table: Table) -> dict[str, Column]:
    """The table's columns with times, coordinates and quantities written as plain columns."""
    plain = represent_mixins_as_columns(table, exclude_classes=(MaskedColumn,))
    return {name: plain[name] for name in plain.colnames}


def _to_column(chunks: pa.ChunkedArray) -> Column:
    kind = chunks.type
    if pa.types.is_dictionary(kind):
        chunks = chunks.cast(kind.value_type)
        kind = chunks.type
    if pa.types.is_temporal(kind):
        chunks, kind = chunks.cast(pa.string()), pa.string()
    if pa.types.is_decimal(kind):
        chunks, kind = chunks.cast(pa.float64()), pa.float64()
    missing = chunks.is_null().to_numpy()
    if pa.types.is_null(kind):
        return MaskedColumn(np.zeros(len(chunks)), mask=np.ones(len(chunks), dtype=bool))
    data: np.ndarray[Any, Any]
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind):
        data = np.array(chunks.fill_null(False if pa.types.is_boolean(kind) else 0).to_numpy())
    elif _is_text(kind):
        data = np.array(chunks.fill_null("").to_pylist(), dtype=np.str_)
    elif pa.types.is_fixed_size_list(kind) and not missing.any():
        return Column(_unnested(chunks.combine_chunks()))
    else:
        data = np.empty(len(chunks), dtype=object)
        data[:] = chunks.to_pylist()
        return Column(data)
    return MaskedColumn(data, mask=missing) if missing.any() else Column(data)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _to_array(column: Column, name: str) -> pa.Array:
    data = np.ma.getdata(column)
    mask = np.ma.getmaskarray(column) if isinstance(column, MaskedColumn) else None
    data = np.asarray(data)
    try:
        if data.dtype.kind == "S":
            data = np.char.decode(data, "utf-8", errors="replace")
        if data.dtype.kind == "f" and data.dtype.itemsize not in (4, 8):
            data = data.astype(np.float64)
        if not data.dtype.isnative:
            data = data.astype(data.dtype.newbyteorder("="))
        return pa.array(data, mask=mask) if data.ndim == 1 else _nested(data)
    except (pa.ArrowException, TypeError, ValueError) as problem:
        raise MauryError(f"column {name!r} cannot be stored: {problem}") from None


def _nested(data: np.ndarray[Any, Any]) -> pa.Array:
    """Lists of one length, in as many levels as cells have axes."""
    array = pa.array(data.reshape(-1))
    for length in data.shape[:0:-1]:
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _unnested(array: pa.FixedSizeListArray) -> np.ndarray[Any, Any]:
    """The inverse of `_nested`."""
    shape = [len(array)]
    while pa.types.is_fixed_size_list(array.type):
        shape.append(array.type.list_size)
        array = array.flatten()
    flat = array.to_pylist() if _is_text(array.type) else array.to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(shape)
