#!/bin/sh
# Installs what building needs, on Debian 12 and its relatives. Does nothing if everything is there.
set -eu

packages="g++ cmake ninja-build pkg-config python3 libopenblas-dev libstb-dev libutf8proc-dev
libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libjpeg-dev libprotobuf-dev protobuf-compiler
libxxhash-dev libzip-dev libgtest-dev libbenchmark-dev"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "scripts/deps.sh: this is no Debian; please install the like of:" >&2
  echo "$packages" >&2
  exit 0
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
  exit 0
fi

as_root=""
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "scripts/deps.sh: neither root nor sudo; please have these installed:$missing" >&2
    exit 3
  fi
  as_root="sudo"
fi
echo "installing by apt:$missing" >&2
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
# shellcheck disable=SC2086  # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2
