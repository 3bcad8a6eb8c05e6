# One target per image. `invoke build` and `tunnelbed.images` fill the variables; by hand, from the checkout:
#   ROOT=$PWD BASE=debian:trixie-slim docker buildx bake --file compose/images/docker-bake.hcl --load

variable "ROOT" { default = "" }
variable "BASE" { default = "bootstrap" }
variable "VERSION" { default = "0" }
variable "REVISION" { default = "unknown" }
variable "SOURCE" { default = "" }
variable "SOURCE_DATE_EPOCH" { default = "0" }

group "default" {
  targets = ["node"]
}

target "_image" {
  context    = "${ROOT}/.cache/rootfs"
  dockerfile = "${ROOT}/compose/images/Dockerfile"
  contexts = {
    recipe  = "${ROOT}/compose/images"
    scripts = "${ROOT}/scripts/node"
  }
  args = {
    BASE              = BASE
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
  }
  # Bridged networks of a build have no name service on some machines; a build needs the package mirror only.
  network = "host"
  labels = {
    "org.opencontainers.image.version"   = VERSION
    "org.opencontainers.image.revision"  = REVISION
    "org.opencontainers.image.licenses"  = "Apache-2.0"
    "org.opencontainers.image.source"    = SOURCE
    "org.opencontainers.image.base.name" = BASE == "bootstrap" ? "scratch" : BASE
  }
}

target "node" {
  inherits = ["_image"]
  target   = "node"
  tags     = ["tunnelbed/node:${VERSION}"]
  labels = {
    "org.opencontainers.image.title"       = "Tunnelbed node"
    "org.opencontainers.image.description" = "One host of a virtual network: strongSwan, nftables and the tools to look on"
  }
}

target "node-nested" {
  inherits = ["_image"]
  target   = "node-nested"
  tags     = ["tunnelbed/node-nested:${VERSION}"]
  labels = {
    "org.opencontainers.image.title"       = "Tunnelbed nested node"
    "org.opencontainers.image.description" = "A Tunnelbed node that runs containers of its own"
  }
}
