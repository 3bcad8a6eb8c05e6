"""Nodes as virtual machines of QEMU, one each, with Debian's own kernel; `engine` is the engine, the rest its parts.

    engine         what the testbed asks for
    supervisor         the process that holds a testbed's machines, and joins them by networks
    segment        one of these networks
    supervisor_client how the supervisor is spoken to, from this side of it
    conversation   how a command on a node is spoken with, on either side of the supervisor
    served         the node's files, as the machine reads them
    machine        QEMU's command, and what the node's first process is told
    accelerator    who carries out the machine's instructions
    files          the kernel and the root file system, made once
    terminal       a command with a person's terminal

docs/vms.md tells it from outside.
"""

from tunnelbed.engines.registration import Registration

ENGINE = Registration(
    module="tunnelbed.engines.qemu.engine",
    maker="tunnelbed.engines.qemu.files",
    takes=("data_plane", "platform", "memory", "cpus"),
)
