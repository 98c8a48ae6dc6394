"""HDF5 files written anew, but for datasets that are left to be filled; disks that become full."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from parts.hdf5_columns import HDF5_DAMAGED, bytes_of, in_hdf5_chunks, rows_of
from parts.hdf5_files import datasets_in
from parts.machinery.exits import RefusedError
from parts.readers import Column, quoted
from parts.score_outputs import FRIEND, not_copied
from parts.stretches import Stretches, refusing

# Bytes that are written at once, and rows of a chunk where no other dataset says how many.
WRITE_BYTES = 2**22
CHUNK_ROWS = 2**13
# Under which a stretch has whole rows.
ROWS = "rows"


class LenientFile(io.FileIO):
    """A file for HDF5, which crashes the process when a disk is full: what fails is kept instead.

    HDF5 is told that all is written, and whoever uses the file asks `check`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes, all of them, or none from the first failure on."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while self.error is None and left:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Change the file's length."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raise the first `OSError` that there was."""
        if self.error is not None:
            raise self.error


@contextmanager
def written_hdf5(
    source: Path, place: Path, mode: Literal["w", "r+"], track_order: bool = False
) -> Iterator[tuple[h5py.File, LenientFile]]:
    """Open a file to be written, a copy of `source`; raises `OSError`, at its end at the latest."""
    with LenientFile(place) as file:
        try:
            with refusing(source, "to be written anew", HDF5_DAMAGED):
                hdf5 = h5py.File(file, mode, track_order=track_order)
            with hdf5:
                yield hdf5, file
        except HDF5_DAMAGED:
            # After a write that failed, HDF5 may find what it has just read to be damaged.
            file.check()
            raise
        file.check()


@dataclass
class GrowingDataset:
    """A dataset that rows are added to, which are gathered to whole chunks."""

    dataset: Any
    file: LenientFile
    held: list[NDArray[Any]] = field(default_factory=list)
    written: int = 0

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows; raises `OSError`."""
        self.held.append(rows)
        count = sum(map(len, self.held))
        step = self.dataset.chunks[0] if self.dataset.chunks else 1
        per_row = self.dataset.dtype.itemsize * int(np.prod(self.dataset.shape[1:]))
        if count * per_row >= WRITE_BYTES and count >= step:
            self.write(count // step * step)

    def finish(self) -> None:
        """Write what is left."""
        self.write(sum(map(len, self.held)))

    def write(self, count: int) -> None:
        """Write the first rows of those that were gathered."""
        rows = np.concatenate(self.held) if count else np.empty(0)
        end = self.written + count
        if end > len(self.dataset):
            self.dataset.resize(end, axis=0)
        if count:
            self.dataset[self.written : end] = rows[:count]
            self.held, self.written = [rows[count:]], end
        self.file.check()


def copy_but_for(
    anew: Mapping[str, Any], old: h5py.File, new: h5py.File, path: Path
) -> dict[str, h5py.Dataset]:
    """Copy all that a file holds but datasets, which become empty ones of the types `anew`.

    Returns those by their names. Raises `RefusedError`.
    """
    made = copy_members(old["/"], new["/"], anew, path)
    if linked := sorted(anew.keys() - made.keys()):
        raise not_copied(path, f"events that are found by a link, {quoted(linked[0])}")
    return made


def copy_members(
    source: h5py.Group, to: h5py.Group, anew: Mapping[str, Any], path: Path
) -> dict[str, h5py.Dataset]:
    """Copy what a group holds, and create the datasets `anew`; links stay links."""
    copy_attributes(source, to)
    found: dict[str, h5py.Dataset] = {}
    for name in source:
        link = source.get(name, getlink=True)
        member = None if not isinstance(link, h5py.HardLink) else source[name]
        if member is None:
            to[name] = link
        elif member.name in anew:
            found[member.name] = empty_like(member, to, name, anew[member.name], path)
        elif any(each.startswith(f"{member.name}/") for each in anew):
            group = to.create_group(name, track_order=is_ordered(member))
            found |= copy_members(member, group, anew, path)
        else:
            source.copy(name, to, name)
    return found


def is_ordered(group: h5py.Group) -> bool:
    """Whether a group keeps the order in which its members were made."""
    return bool(group.id.get_create_plist().get_link_creation_order())


def copy_attributes(source: Any, to: Any) -> None:
    """Copy the attributes of a group or dataset, each of its type in the file."""
    for name in source.attrs:
        old = h5py.h5a.open(source.id, name.encode())
        new = h5py.h5a.create(to.id, name.encode(), old.get_type(), old.get_space())
        if old.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            continue
        base, inner = old.dtype.subdtype or (old.dtype, ())
        values = np.empty((*old.shape, *inner), base)
        kind = h5py.h5t.py_create(old.dtype)
        old.read(values, kind)
        new.write(values, kind)


def empty_like(
    source: h5py.Dataset, to: h5py.Group, name: str, kind: Any, path: Path
) -> h5py.Dataset:
    """Create a dataset of a type, with chunks, filters and attributes of another, and no rows."""
    plan = source.id.get_create_plist()
    if source.chunks is None or kind != source.id.get_type():
        # What is planned for one type cannot be used for another.
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        rows = min(max(len(source), 1), CHUNK_ROWS)
        plan.set_chunk(source.chunks or (rows, *source.shape[1:]))
        for code, flags, values, _ in filters_of(source):
            plan.set_filter(code, flags, values)
    space = h5py.h5s.create_simple((0, *source.shape[1:]), (h5py.h5s.UNLIMITED, *source.shape[1:]))
    try:
        made = h5py.Dataset(h5py.h5d.create(to.id, name.encode(), kind, space, plan))
    except (RuntimeError, TypeError, ValueError) as error:
        raise not_copied(path, f"a dataset {quoted(source.name)} of its own kind") from error
    copy_attributes(source, made)
    return made


def filters_of(dataset: h5py.Dataset) -> Iterator[tuple[int, int, tuple[int, ...], bytes]]:
    """Yield the number, flags, settings and name of each filter of a dataset, in order."""
    plan = dataset.id.get_create_plist()
    yield from (plan.get_filter(index) for index in range(plan.get_nfilters()))


def check_copyable(path: Path, file: h5py.File) -> None:
    """Raise `RefusedError` if a file holds what is not the same in one that is written anew."""
    if file.userblock_size:
        raise not_copied(path, "a user block")

    def check(name: str, each: Any) -> None:
        if h5py.h5o.get_info(each.id).rc > 1:
            raise not_copied(path, f"several hard links to {quoted(name)}")
        if isinstance(each, h5py.Datatype):
            raise not_copied(path, f"a named type {quoted(name)}")
        types = [h5py.h5a.open(each.id, key.encode()).get_type() for key in each.attrs]
        if isinstance(each, h5py.Dataset):
            types.append(each.id.get_type())
            if each.is_virtual or each.external:
                raise not_copied(path, f"a dataset {quoted(name)} that lies in other files")
        if any(holds_references(kind) for kind in types):
            raise not_copied(path, f"references in {quoted(name)}")

    check("/", file["/"])
    file.visititems(check)


def holds_references(kind: Any) -> bool:
    """Whether values of a type point to places in the file."""
    return bool(kind.detect_class(h5py.h5t.REFERENCE))


def whole_rows_of(source: Path, dataset: Any) -> Stretches:
    """Return the rows of a dataset, with all their fields, in its chunks of the file."""

    def rows(first: int, last: int) -> dict[str, Column]:
        with refusing(source, f"array {quoted(dataset.name)}", HDF5_DAMAGED):
            return {ROWS: Column(rows_of(dataset, dataset, first, last))}

    per_event = bytes_of(dataset.dtype) * int(np.prod(dataset.shape[1:]))
    return in_hdf5_chunks(dataset, per_event, rows)


def check_no_company(source: Path, file: h5py.File, events: list[Any]) -> None:
    """Raise `RefusedError` if datasets besides those of the events may have a row for each."""
    names = {each.name for each in events}
    for each in datasets_in(file).values():
        if each.name not in names and each.shape and len(each) == len(events[0]):
            said = f"{quoted(source)} has a row of {quoted(each.name)} for each event"
            raise RefusedError(f"{said}, and some would be left out; {FRIEND}")
