"""Processes that train one model together, as `vitrial run --devices` starts them, on a CPU."""

import os
import socket

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import distributed

from vitrial.study.processes import starting


def in_processes(work, number):
    """What the first of so many processes gives; `work` takes a `Fabric`."""
    context = starting()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    ours, theirs = context.Pipe(duplex=False)
    processes = [
        context.Process(target=in_one, args=(work, rank, number, port, theirs))
        for rank in range(number)
    ]
    for process in processes:
        process.start()
    theirs.close()
    found = ours.recv()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return found


def in_one(work, rank, number, port, connection):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    os.environ |= {"LOCAL_RANK": str(rank), "WORLD_SIZE": str(number)}
    torch.set_num_threads(1)
    environment = LightningEnvironment()
    fabric = Fabric(accelerator="cpu", strategy="ddp", devices=number, plugins=environment)
    fabric.launch()
    found = work(fabric)
    if rank == 0:
        connection.send(found)
    distributed.destroy_process_group()
