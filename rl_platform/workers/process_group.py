"""Ranks in processes of their own: torch.distributed, with gloo on CPUs and NCCL on GPUs."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

PATIENCE = timedelta(minutes=10)
"""How long a rank waits for one that is there and says nothing."""
INTERFACE_ENV = "GLOO_SOCKET_IFNAME"
SIOCGIFADDR = 0x8915  # of Linux: the address of an interface


class PeerLost(Exception):
    """Another rank is gone or silent: nothing more can be learned together."""


class ProcessGroup:
    """See `Ranks`. ``address``: where this machine is reached by the others."""

    def __init__(self, store: Any, rank: int, count: int, device: str, address: str) -> None:
        import torch.distributed as distributed

        self.rank, self.count = rank, count
        interface = _interface(address)
        if interface is not None:
            # Gloo would take that of the host's name, which is a loopback's on many machines.
            os.environ.setdefault(INTERFACE_ENV, interface)
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)

    def sum(self, array: np.ndarray | torch.Tensor) -> None:
        """See `Ranks.sum`. Raises PeerLost."""
        import torch
        import torch.distributed as distributed

        tensor = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
        try:
            distributed.all_reduce(tensor)
        except RuntimeError as error:
            raise PeerLost(str(error)) from error


def meeting_place(address: str) -> Any:
    """A store at which ranks find each other; rank 0 keeps it."""
    return _store(address, 0, is_master=True, wait_for_workers=False)


def met_at(address: str, port: int) -> Any:
    """The store of rank 0, for another rank."""
    return _store(address, port, is_master=False)


def _store(address: str, port: int, **how: bool) -> Any:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch re-exports it unseen

    return TCPStore(address, port, timeout=PATIENCE, **how)


def _interface(address: str) -> str | None:
    """The network interface that has this IPv4 address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asking.fileno(), SIOCGIFADDR, request)
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None
