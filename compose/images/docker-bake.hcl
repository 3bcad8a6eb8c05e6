# One target per image. `tunnelbed.bake` fills the variables; by hand, from the checkout:
#   ROOT=$PWD CONTEXT=$PWD BASE=debian:trixie-slim docker buildx bake --file compose/images/docker-bake.hcl --load

variable "ROOT" { default = "" }
variable "CONTEXT" { default = "" }
variable "BASE" { default = "bootstrap" }
variable "MIRROR" { default = "" }
variable "VERSION" { default = "0" }
variable "REVISION" { default = "unknown" }
variable "SOURCE" { default = "" }
variable "SOURCE_DATE_EPOCH" { default = "0" }

group "default" {
  targets = ["node", "node-nested"]
}

target "_image" {
  context    = CONTEXT
  dockerfile = "${ROOT}/compose/images/Dockerfile"
  contexts = {
    recipe  = "${ROOT}/compose/images"
    scripts = "${ROOT}/scripts/node"
  }
  args = {
    BASE              = BASE
    MIRROR            = MIRROR
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
  labels = {
    "org.opencontainers.image.title"       = "Tunnelbed node"
    "org.opencontainers.image.description" = "One host of a virtual network: strongSwan, nftables and the tools to look on"
  }
}

target "node-nested" {
  inherits = ["_image"]
  target   = "node-nested"
  labels = {
    "org.opencontainers.image.title"       = "Tunnelbed nested node"
    "org.opencontainers.image.description" = "A Tunnelbed node that runs containers of its own"
  }
}

# Not a node: it lists the packages of an image, for the attestation that goes with it.
target "sbom" {
  inherits = ["_image"]
  target   = "sbom"
}
