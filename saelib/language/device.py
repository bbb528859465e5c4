"""Which device a language model is put on.

In: what the user asked for. Out: a device that is on this machine.
"""

import torch


def choose_device(device: str = "auto") -> torch.device:
    """`device` where it is present; "auto" takes the first of cuda, mps and cpu that is.

    Raises:
        ValueError: the device is unknown or absent; the message names the choices.
    """
    present = ["cuda"] if torch.cuda.is_available() else []
    present += ["mps"] if torch.backends.mps.is_available() else []
    present += ["cpu"]
    choices = [*present, *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if device != "auto" and device not in choices:
        raise ValueError(f"device {device!r} is not on this machine; choose one of {', '.join(['auto', *choices])}")
    return torch.device(present[0] if device == "auto" else device)
