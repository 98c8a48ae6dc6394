"""Columns of an RNTuple in an open ROOT file: its fields, read cluster by cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from awkward.forms import (
    Form,
    IndexedOptionForm,
    ListOffsetForm,
    NumpyForm,
    RecordForm,
    RegularForm,
)
from numpy.typing import NDArray

from parts.readers import Column, ColumnType, Lists, Schema, kind_of, native
from parts.stretches import (
    STRETCH_BYTES,
    Stretches,
    chunks_of,
    column_said,
    lists_alike,
    lists_between,
    refusing,
    stretch_edges,
)


@dataclass(frozen=True)
class RootTuple:
    """An RNTuple, as a table."""

    path: Path
    ntuple: Any
    forms: Mapping[str, Form]
    schema: Schema
    # What a library raises where the file is damaged.
    errors: tuple[type[Exception], ...]

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """First events of the clusters."""
        every = [cluster.num_first_entry for cluster in self.ntuple.cluster_summaries]
        return np.array(every, np.int64)

    def chunks(self, names: Sequence[str], size: int) -> Iterator[Mapping[str, Column | Lists]]:
        """Yield the columns of at most `size` events at a time."""
        n_events = self.schema.n_events
        with refusing(self.path, "its clusters", self.errors):
            edges = stretch_edges(self.begins, n_events)
        every = [self.stretches(name, edges, len(names)) for name in names]
        yield from chunks_of(every, n_events, size)

    def stretches(self, name: str, edges: NDArray[np.int64], among: int) -> Stretches:
        """Return the values of a field, in its clusters."""

        def columns(first: int, last: int) -> Mapping[str, Column | Lists]:
            begin, end = np.searchsorted(self.begins, (first, last))
            with refusing(self.path, column_said(name), self.errors):
                pages = Pages(self.ntuple, int(begin), int(end), first, last - first)
                return {name: pages.held(self.forms[name])}

        # Numbers of 8 bytes, and lists of 4 of them: what clusters hold is known page by page only.
        width = 40 if self.schema.columns[name].kind in ("list", "text") else 8
        return Stretches(edges, STRETCH_BYTES // (width * among), columns)


@dataclass(frozen=True)
class Pages:
    """What some clusters of an RNTuple hold."""

    ntuple: Any
    begin: int
    end: int
    first: int
    n_events: int

    def column(self, key: str) -> NDArray[Any]:
        """Return the elements of one of the columns that make a field."""
        index = int(key.split("-")[1])
        # A field that was added later has none in the first clusters.
        later = self.ntuple.column_records[index].first_element_index - self.first
        read = self.ntuple.read_cluster_range(index, self.begin, self.end, max(later, 0))
        return native(np.asarray(read))

    def offsets(self, key: str) -> NDArray[Any]:
        """Return where the lists of events begin and end."""
        return self.whole(self.column(key), self.n_events + 1)

    def whole(self, read: NDArray[Any], count: int) -> NDArray[Any]:
        """Return as many elements as there should be."""
        if len(read) < count:
            raise ValueError(f"{len(read)} values for {count} events")
        return read[:count]

    def held(self, form: Form) -> Column | Lists:
        """Return the values of a field."""
        if isinstance(form, ListOffsetForm):
            lists = lists_between(self.column(form.content.form_key), self.offsets(form.form_key))
            return texts_of(lists) if is_string(form) else lists
        if isinstance(form, RegularForm):
            values = self.column(form.content.form_key)
            values = self.whole(values, self.n_events * form.size)
            return lists_alike(values.reshape(self.n_events, form.size))
        if isinstance(form, IndexedOptionForm):
            return optional(self.column(form.content.form_key), self.offsets(form.form_key))
        if form.form_key.endswith("-cardinality"):
            return Column(np.diff(self.offsets(form.form_key)).astype(form.primitive))
        return Column(self.whole(self.column(form.form_key), self.n_events))


def tuple_table(path: Path, ntuple: Any, errors: tuple[type[Exception], ...]) -> RootTuple:
    """Return an RNTuple as a table."""
    forms, columns = {}, {}
    for name, field in leaf_fields(ntuple).items():
        form = field_form(ntuple, field)
        columns[name] = form_type(form, field.typename)
        if form is not None:
            forms[name] = form
    return RootTuple(path, ntuple, forms, Schema(columns, int(ntuple.num_entries)), errors)


def leaf_fields(ntuple: Any) -> Mapping[str, Any]:
    """Return the fields that have a name and none below, by their paths."""
    named = [field for field in ntuple.all_fields if not (field.is_anonymous or field.in_variant)]
    above = {ancestor for field in named for ancestor in ancestors_of(field)}
    return {field.path: field for field in named if field.field_id not in above}


def ancestors_of(field: Any) -> list[int]:
    """Return the numbers of the fields that a field is in, the outermost last."""
    numbers = []
    while not field.top_level:
        field = field.parent
        numbers.append(field.field_id)
    return numbers


def field_form(ntuple: Any, field: Any) -> Form | None:
    """Return how a field is laid out in columns; None where nothing can read it."""
    outermost = [field.field_id, *ancestors_of(field)][-1]
    try:
        return without_records(ntuple.field_form(outermost, [field.path]))
    except (NotImplementedError, RuntimeError):
        # Streamed objects, and layouts that uproot has no case for.
        return None


def without_records(form: Any) -> Form:
    """Return the layout of a field where records that hold nothing else are left out."""
    while isinstance(form, RecordForm) and len(form.contents) == 1:
        form = form.contents[0]
    if isinstance(form, ListOffsetForm) and not is_string(form):
        return form.copy(content=without_records(form.content))
    return form


def is_string(form: Any) -> bool:
    """Whether lists are texts."""
    return bool(form.parameter("__array__") == "string")


def form_type(form: Any, said: str) -> ColumnType:
    """Return what a field holds."""
    if isinstance(form, ListOffsetForm) and is_string(form):
        return ColumnType("text", said)
    lists = isinstance(form, ListOffsetForm | RegularForm)
    inner = form.content if isinstance(form, IndexedOptionForm) or lists else form
    # Only plain columns can be read without their surroundings.
    if not isinstance(inner, NumpyForm) or inner.inner_shape:
        return ColumnType("other", said)
    kind = kind_of(np.dtype(inner.primitive))
    return ColumnType("list", said, kind) if lists else ColumnType(kind, said)


def texts_of(lists: Lists) -> Column:
    """Return lists of bytes as texts."""
    every = lists.values.tobytes()
    ends = zip(lists.first.tolist(), (lists.first + lists.length).tolist(), strict=True)
    texts = [every[first:last].decode("utf-8", "surrogateescape") for first, last in ends]
    values = np.empty(len(texts), object)
    values[:] = texts
    return Column(values)


def optional(values: NDArray[Any], offsets: NDArray[Any]) -> Column:
    """Return values of which an event has one or none."""
    there = np.diff(offsets.astype(np.int64)) == 1
    every = np.zeros(len(there), values.dtype)
    every[there] = values[: np.count_nonzero(there)]
    return Column(every, ~there)
