"""Where the columns of a Parquet file lie: fields, members of records, and of lists of records."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pyarrow import types

from parts.arrow_columns import column_type, is_list, member_of, to_column, to_lists
from parts.readers import Column, ColumnType, Lists


@dataclass(frozen=True)
class ParquetPlace:
    """Where a column lies in a file: a field, members of records below it, its place on disk."""

    type: ColumnType
    field: str
    members: tuple[str, ...]
    # Members of the records that lists hold.
    inner: tuple[str, ...]
    # As Parquet calls it, which says how lists are laid out: `jets.list.element.pt`.
    on_disk: str

    @property
    def name(self) -> str:
        """Return how a script calls the column."""
        return ".".join((self.field, *self.members, *self.inner))


def places_below(schema: pa.Schema, on_disk: Iterator[str]) -> Iterator[ParquetPlace]:
    """Yield all columns of a file; Parquet has them in the order in which they are met."""
    counts = Counter(schema.names)
    for field in schema:
        if counts[field.name] > 1:
            # No name could say which one is meant.
            several = ColumnType("other", "several columns of one name")
            yield ParquetPlace(several, field.name, (), (), first_of(field.type, on_disk))
        else:
            yield from places_of(field.name, (), field.type, on_disk)


def places_of(
    field: str, members: tuple[str, ...], kind: pa.DataType, on_disk: Iterator[str]
) -> Iterator[ParquetPlace]:
    """Yield the columns of a field: itself, or the members of its record."""
    if types.is_struct(kind):
        for member in kind:
            yield from places_of(field, (*members, member.name), member.type, on_disk)
    elif is_list(kind):
        for inner, items in items_of((), kind.value_type):
            found = column_type(kind, items)
            yield ParquetPlace(found, field, members, inner, first_of(items, on_disk))
    else:
        yield ParquetPlace(column_type(kind), field, members, (), first_of(kind, on_disk))


def items_of(
    inner: tuple[str, ...], kind: pa.DataType
) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    """Yield what lists hold: numbers, or the members of their records."""
    if not types.is_struct(kind):
        yield inner, kind
        return
    for member in kind:
        yield from items_of((*inner, member.name), member.type)


def first_of(kind: pa.DataType, on_disk: Iterator[str]) -> str:
    """Return the first of the places on disk that a type takes, and pass all of them."""
    first, *_ = (next(on_disk) for _ in range(leaves(kind)))
    return first


def leaves(kind: pa.DataType) -> int:
    """Return how many columns Parquet has for a type."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    children = [kind.field(index).type for index in range(kind.num_fields)]
    return sum(leaves(child) for child in children) or 1


def unique(places: Sequence[ParquetPlace]) -> dict[str, ParquetPlace]:
    """Return columns by name: of a literal `lead.pt` and one of a record, the literal one."""
    found: dict[str, list[ParquetPlace]] = {}
    for place in places:
        found.setdefault(place.name, []).append(place)
    return {name: nearest(same) for name, same in found.items()}


def nearest(same: Sequence[ParquetPlace]) -> ParquetPlace:
    """Return the column of a name that lies below the fewest records; two of them are neither."""
    depths = Counter(len(place.members) + len(place.inner) for place in same)
    first = min(same, key=lambda place: len(place.members) + len(place.inner))
    if (count := depths[min(depths)]) == 1:
        return first
    return replace(first, type=ColumnType("other", f"{count} columns of this name"))


def values_at(place: ParquetPlace, batch: pa.RecordBatch) -> Column | Lists:
    """Return the values of a column."""
    array = batch.column(batch.schema.get_field_index(place.field))
    for member in place.members:
        array = member_of(array, member)
    return to_lists(array, place.inner) if place.type.kind == "list" else to_column(array)
