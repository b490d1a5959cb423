# Shared by the scripts of this folder, which source it: what they say, and how they find the engine.

# Each script sets this to its own name.
me=docker

say() { printf '%s: %s\n' "$me" "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# 0: an engine answers. A client that was told to speak a newer version than the engine does (DOCKER_API_VERSION, or one that
# does not negotiate) is told the engine's here. Else $why says what the client says.
engine_answers() {
  local newest
  command -v docker >/dev/null || { why="there is no docker command: install Docker (Debian: apt-get install docker.io)" && return 1; }
  why=$(docker version --format '{{.Server.APIVersion}}' 2>&1 >/dev/null) && return 0
  newest=$(sed -n 's/.*Maximum supported API version is \([0-9.]*\).*/\1/p' <<<"$why")
  [ -n "$newest" ] || return 1
  export DOCKER_API_VERSION=$newest
  why=$(docker version --format '{{.Server.APIVersion}}' 2>&1 >/dev/null)
}

need_engine() {
  engine_answers || fail "no Docker engine answers ($why): start it, or docker/start-engine does"
}
