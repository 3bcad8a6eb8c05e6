"""Nodes as containers of Docker's, brought up by Compose.

engine         what the testbed asks for
complaints     what Docker's and Compose's complaints mean to a person
"""

from tunnelbed.engines.registration import Registration

ENGINE = Registration(
    module="tunnelbed.engines.docker.engine",
    maker="tunnelbed.engines.images.node_images",
    takes=("driver", "data_plane", "platform", "nested", "image"),
)
