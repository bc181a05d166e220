# Shared by the scripts in this directory; sourced, never run. What Debian packages kvd needs, how they get installed,
# and how a build directory is set up. Expects `root` to be the project's top directory.
# shellcheck shell=bash disable=SC2034,SC2154

packages_build=(g++ meson ninja-build pkg-config libabsl-dev libfmt-dev libmimalloc-dev
  libxxhash-dev libsimdjson-dev libssl-dev libuv1-dev libexpected-dev libzookeeper-mt-dev
  node-llhttp doctest-dev)
packages_run=(zookeeper libslf4j-java default-jre-headless curl)
packages_check=(clang llvm libclang-rt-14-dev python3 python3-kazoo git iproute2
  openssl lowdown man-db bash-completion zsh fish)

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

say() { printf '== %s\n' "$*"; }

# as_root COMMAND...: as root, or by sudo where that asks for no password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Installs those of the packages that are missing; nothing missing: nothing is asked of the network.
install_missing() {
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system; these packages' counterparts are needed: $*"
    return
  fi
  local missing=() package
  for package in "$@"; do
    case "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" in
      ii*) ;;
      *) missing+=("$package") ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] && return
  local by_hand="sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
  as_root true 2>/dev/null || die "cannot install as root (sudo asks for a password?); run this by hand: $by_hand"
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update </dev/null ||
    die "apt-get update failed; see above, or by hand: $by_hand"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" </dev/null ||
    die "apt-get install failed; see above, or by hand: $by_hand"
}

# configure DIRECTORY OPTION...: sets a build directory up, or brings an existing one to these options.
configure() {
  local directory=$1
  shift
  if [ -f "$directory/build.ninja" ]; then
    meson configure "$directory" "$@" >/dev/null
  else
    meson setup "$directory" "$root" "$@"
  fi
}
