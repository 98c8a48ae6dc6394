"""Caches of events below `save_dir`: made once, by one process, and used by all that need them."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from parts.cached_arrays import CONTENTS, contents_of, note_use
from parts.machinery.exits import RefusedError, obey
from parts.machinery.locks import Lock
from parts.machinery.places import sync_folder

# Seconds after which a cache that nobody has used is removed, when another one is made.
UNUSED = 30 * 86400.0
# What a cache is called that is being made, or whose making was cut short.
UNFINISHED = ".unfinished"


def provide(place: Path, make: Callable[[Path], None]) -> None:
    """Have a cache in its place, made here or by another process; raises what `make` does."""
    prepare(place)
    said = made = False
    while not taken(place):
        if made:
            raise RefusedError(f"{place} is damaged as soon as it is written: does the disk fail?")
        try:
            with kept_apart(place):
                # Another process may just have made it.
                if contents_of(place) is None:
                    make_cache(place, make)
                made = True
        except BusyError as error:
            if not said:
                print(f"waiting for the events of {place}: {error}", flush=True)
            said = True
            obey()
            time.sleep(0.5)
    print(f"events: {place}")


def taken(place: Path) -> bool:
    """Whether a whole cache is there, which nobody removes from now on."""
    if contents_of(place) is None:
        return False
    with suppress(FileNotFoundError):
        note_use(place)
    # It may have been removed before that.
    return contents_of(place) is not None


def prepare(place: Path) -> None:
    """Make the folder of all caches; raises `RefusedError` if something is in the way."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise RefusedError(f"cannot keep events in {place.parent}: {error.strerror}") from error
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise RefusedError(f"{place} is in the way: events are kept in a folder of that name")
    if not place.exists() and not os.access(place.parent, os.W_OK | os.X_OK):
        raise RefusedError(f"cannot keep events in {place.parent}: no permission to write there")


class BusyError(Exception):
    """Another process makes the cache."""


@contextmanager
def kept_apart(place: Path) -> Iterator[None]:
    """Keep others from making or removing a cache; raises `BusyError`."""
    lock = Lock(place.with_name(f".{place.name}.lock"))
    try:
        lock.take()
    except RefusedError:
        raise BusyError("another process is at work on them") from None
    try:
        lock.tidy()
        yield
    finally:
        lock.release()


def make_cache(place: Path, make: Callable[[Path], None]) -> None:
    """Make a cache, which is there whole or not at all."""
    remove_unused(place.parent)
    if place.exists():
        print(f"{place} is damaged, and is made anew")
        shutil.rmtree(place)
    new = place.with_name(f".{place.name}{UNFINISHED}")
    # What a process has left that was killed.
    shutil.rmtree(new, ignore_errors=True)
    began = time.monotonic()
    try:
        new.mkdir()
        print(f"writing events to {place}", flush=True)
        make(new)
        sync_folder(new)
        new.rename(place)
    except BaseException:
        # What did not fit on a full disk must not keep it full.
        shutil.rmtree(new, ignore_errors=True)
        raise
    sync_folder(place.parent)
    size = sum(file.stat().st_size for file in place.iterdir())
    print(f"{size / 1e6:.0f} MB written in {time.monotonic() - began:.0f} s")


def is_in_use(cache: Path) -> bool:
    """Whether a cache was used of late; raises `FileNotFoundError`."""
    return time.time() - (cache / CONTENTS).stat().st_mtime < UNUSED


def remove_unused(root: Path) -> None:
    """Remove caches that nobody has used for long, and what killed processes have left."""
    # Nothing else that somebody has put there.
    caches = [path.parent for path in root.glob(f"{'[0-9a-f]' * 64}/{CONTENTS}")]
    for folder in (*caches, *root.glob(f".*{UNFINISHED}")):
        kept = folder.with_name(folder.name.removesuffix(UNFINISHED).removeprefix("."))
        # Somebody may remove it, too, or be at work there.
        with suppress(FileNotFoundError, PermissionError, NotADirectoryError, BusyError):
            if folder == kept and is_in_use(folder):
                continue
            with kept_apart(kept):
                if folder == kept:
                    # Somebody may have begun to meanwhile.
                    if is_in_use(folder):
                        continue
                    print(f"removing {folder}: not used for {UNUSED / 86400:.0f} days or more")
                shutil.rmtree(folder)
