"""Fails when a binary cannot start in Lambda's provided.al2023.

A binary for the wrong processor, or one that was linked on a machine with a newer C library, deploys without a word and
then fails every invocation. Usage: check_bootstrap.py BINARY x86_64|arm64
"""

import re
import sys

# What Amazon Linux 2023 has.
NEWEST_GLIBC = (2, 34)
# e_machine in the ELF header.
MACHINES = {62: "x86_64", 183: "arm64"}


def main(path: str, architecture: str) -> None:
    with open(path, "rb") as file:
        binary = file.read()
    if binary[:4] != b"\x7fELF":
        sys.exit(f"{path} is not a Linux binary; build it on Linux or cross-compile it")
    machine = MACHINES.get(int.from_bytes(binary[18:20], "little"), "another processor")
    if machine != architecture:
        sys.exit(f"{path} is for {machine}, the function for {architecture}")
    # The names of the symbol versions that the binary asks for stand in it as plain text.
    needed = {(int(major), int(minor)) for major, minor in re.findall(rb"\bGLIBC_(\d+)\.(\d+)", binary)}
    newest = max(needed, default=(0, 0))
    if newest > NEWEST_GLIBC:
        sys.exit(
            "{} needs glibc {}.{}, provided.al2023 has {}.{}: build it on an older Linux, such as amazonlinux:2023".format(
                path, *newest, *NEWEST_GLIBC
            )
        )
    print("{}: {}, needs glibc {}.{} of {}.{}".format(path, machine, *newest, *NEWEST_GLIBC))


if __name__ == "__main__":
    main(*sys.argv[1:])
