"""How full a command has made the disk; looked at in a thread of its reaper."""

import os
import select
import stat as modes
import time
from collections.abc import Sequence
from typing import NamedTuple

from .processes import descendants

# Seconds between two looks at how full the disk is; a file's part of it, at least.
DISK_SECONDS = 0.25
A_FILE = 4096


def filled(folders: Sequence[str], most: int, spare: int) -> str:
    """Returns as soon as the command has filled the disk, with how."""
    # The clock of the files' dates is a little behind.
    since = time.time() - 2.0
    room = {folder: _room(folder) for folder in folders}
    while True:
        began = time.monotonic()
        for folder, before in room.items():
            now = _room(folder)
            room[folder] = max(before, now)
            lost = before[0] - now[0]
            if lost <= most:
                continue
            # Others may have done that, too. Which files there are takes longer.
            if written(folder, since, most) > most:
                return f"it has written more than {most} bytes to {folder}"
            if now[1] < spare:
                return (
                    f"the disk of {folder} was nearly full, {lost} bytes since it began"
                )
        took = time.monotonic() - began
        select.select([], [], [], max(DISK_SECONDS, 10 * took))


def _room(folder: str) -> tuple[int, int]:
    """Bytes that are free, with A_FILE for each further file; those for everybody."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return 0, 0
    size = room.f_frsize
    return room.f_bfree * size + room.f_ffree * A_FILE, room.f_bavail * size


def written(folder: str, since: float, most: int) -> int:
    """Bytes of the files in *folder* that were changed after *since*, until *most*.

    What cannot be looked at counts as more: it was hidden.
    """
    seen, total, todo = set[tuple[int, int]](), 0, [folder]
    found = _open_without_name(folder)
    while True:
        for each in found:
            if modes.S_ISDIR(each.status.st_mode):
                todo.append(each.path)
            key = (each.status.st_dev, each.status.st_ino)
            if each.status.st_ctime >= since and key not in seen:
                seen.add(key)
                total += max(each.status.st_blocks * 512, A_FILE)
        if not todo or total > most:
            return total
        try:
            found = _in_folder(todo.pop())
        except FileNotFoundError:
            found = []
        except OSError:
            return most + 1


class File(NamedTuple):
    """Where one was found, and what is known of it."""

    path: str
    status: os.stat_result


def _in_folder(folder: str) -> list[File]:
    found = list[File]()
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                found.append(File(entry.path, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                pass  # it was deleted
    return found


def _open_without_name(folder: str) -> list[File]:
    """Files that were deleted, and that the command holds open."""
    held = list[File]()
    try:
        device = os.stat(folder).st_dev
    except OSError:
        return held
    for each in descendants(os.getpid()):
        for path in _paths(f"/proc/{each.pid}/fd"):
            try:
                status = os.stat(path)
            except OSError:
                continue  # it was closed
            kind = modes.S_ISREG(status.st_mode), status.st_nlink, status.st_dev
            if kind == (True, 0, device):
                held.append(File(path, status))
    return held


def _paths(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError:
        return []  # it has ended
