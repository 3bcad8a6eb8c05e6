"""Nodes as containers of Docker's, brought up by Compose.

engine         what the testbed asks for
compose        the override file that Compose merges into the stack
links          the parents of MACVLAN networks
underlay       which subnets Docker hands out
drivers        how Docker makes networks
containers     the containers of a testbed, and their logs
execs          the conversation with a command in a container
cgroups        what containers cost
complaints     what Docker's and Compose's complaints mean to a person
"""

from tunnelbed.engines.registration import Registration

ENGINE = Registration(
    module="tunnelbed.engines.docker.engine",
    maker="tunnelbed.engines.images.node_images",
    takes=("driver", "data_plane", "platform", "nested", "image"),
)
