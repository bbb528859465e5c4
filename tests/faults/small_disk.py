"""A disk of a few kilobytes: a file system in memory (tmpfs) that only one child process and its children see.

In: a folder, and work. Out: the work done with that folder on such a disk, without any rights of the system's
administrator: the child has a user and a mount namespace of its own (Linux), with which the disk goes.
"""

import ctypes
import os
from pathlib import Path

NEW_NAMESPACES = 0x10000000 | 0x00020000  # CLONE_NEWUSER, CLONE_NEWNS
REMOUNT = 0x20


def mount(folder: Path, size: int) -> None:
    """Put an empty disk of so many bytes on a folder, for this process and its children.

    Raises:
        OSError: this machine does not let a user mount.
    """
    user, group = os.getuid(), os.getgid()
    _call("unshare", NEW_NAMESPACES)
    for name, line in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(line)
    _mount(folder, size, 0)


def resize(folder: Path, size: int) -> None:
    """Give the disk another size; what is on it stays."""
    _mount(folder, size, REMOUNT)


def can_mount(folder: Path) -> bool:
    """Whether a child process may do so, tried out."""
    if not (child := os.fork()):
        try:
            mount(folder, 4096)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _mount(folder: Path, size: int, flags: int) -> None:
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", flags, f"size={size}".encode())


def _call(name: str, *arguments: int | bytes) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*(ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments)):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
