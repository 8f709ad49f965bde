"""What parts of one table must agree in, so that they can be joined in files of fixed layout.

Each part knows only its own cells: how wide its longest text is, and whether any cell is missing.
FITS and VOTables state both in their heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from astropy.table import MaskedColumn, Table

from maury.catalogs.arrow import from_arrow, notes_of
from maury.errors import MauryError

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """Of all parts together.

    Parameters
    ----------
    schema : pa.Schema
        Types that hold the cells of every part.
    missing : frozenset of str
        Columns with missing cells.
    widths : dict
        Bytes of the longest text of each column of text.
    rows : int
    """

    schema: pa.Schema
    missing: frozenset[str]
    widths: dict[str, int]
    rows: int

    @classmethod
    def of(cls, parts: Iterable[pa.Table]) -> Layout:
        """Look through all parts.

        Raises
        ------
        MauryError
            If they have different columns, or there are none.
        """
        schemas: list[pa.Schema] = []
        widths: dict[str, int] = {}
        missing: set[str] = set()
        rows = 0
        for part in parts:
            rows += len(part)
            if part.schema not in schemas:
                schemas.append(part.schema)
            for field in part.schema:
                column = part.column(field.name)
                if column.null_count:
                    missing.add(field.name)
                if pa.types.is_string(field.type):
                    longest = pc.max(pc.binary_length(column)).as_py() or 0
                    widths[field.name] = max(widths.get(field.name, 1), longest)
        return cls(_united(schemas), frozenset(missing), widths, rows)

    def arrow(self, part: pa.Table) -> pa.Table:
        """A part with the types of all."""
        return part.cast(self.schema)

    def table(self, part: pa.Table) -> Table:
        """A part as an astropy table: text as wide as anywhere, masks wherever one is needed."""
        table = from_arrow(self.arrow(part))
        for field in self.schema:
            column = table[field.name]
            if field.name in self.widths and column.dtype.kind == "U":
                column = column.astype(f"U{self.widths[field.name]}")
            masked = field.name in self.missing and column.dtype.kind != "O"
            if masked and not isinstance(column, MaskedColumn):
                column = MaskedColumn(column)
            table[field.name] = column
        table.meta = notes_of(part)
        return table


def _united(schemas: list[pa.Schema]) -> pa.Schema:
    if not schemas:
        raise MauryError("there is nothing to write")
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as problem:
        raise MauryError(f"the parts of this table do not fit together: {problem}") from None
