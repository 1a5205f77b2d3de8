# What ci/quickstart and ci/test share. Sourced, not run.

say() { printf '\n==> %s\n' "$*" >&2; }

# Runs a package manager as root, with sudo where this is not root.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else echo "error: need root for: $*" >&2; echo "hint: run it yourself, then start this script again" >&2; exit 3
  fi
}

# A C compiler is all that building crossmill itself needs beside cargo;
# `crossmill doctor` takes care of everything else.
bootstrap() {
  if ! command -v cc >/dev/null || ! command -v make >/dev/null; then
    say "installing a C compiler"
    if command -v apt-get >/dev/null; then as_root apt-get update -q; as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy build-essential
    elif command -v dnf >/dev/null; then as_root dnf install -qy gcc gcc-c++ make
    elif command -v pacman >/dev/null; then as_root pacman -Sy --noconfirm --needed base-devel
    elif command -v apk >/dev/null; then as_root apk add build-base
    elif command -v zypper >/dev/null; then as_root zypper -n install gcc gcc-c++ make
    else echo "error: no C compiler, and no package manager that this script knows" >&2
         echo "hint: install cc and make, then start it again" >&2; exit 3
    fi
  fi
  if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  if ! command -v cargo >/dev/null; then
    echo "error: cargo is not installed" >&2
    echo "hint: install Rust with rustup (https://rustup.rs), then start this again" >&2; exit 3
  fi
}

# Installs what the build and the checks need. What a build cannot do without
# is refused by the build itself; a check without its tool is `skipped`.
host_tools() {
  matching_backports
  "$1" doctor --install || say "some tools are not there: see above for what is left out"
}

# Debian's qemu packages fit together only in one version. Where an image has
# one of them from backports, the others must come from there too: from the same
# mirror that apt is set up with.
matching_backports() {
  command -v dpkg-query >/dev/null || return 0
  dpkg-query -W -f '${Version}\n' qemu-utils 2>/dev/null | grep -q '~bpo' || return 0
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  if ! apt-cache policy | grep -q "n=$codename-backports"; then
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME)' | sed -n "s/ $codename\$//p" | head -n 1)
    [ -n "$mirror" ] || return 0
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $codename-backports main" |
      as_root tee /etc/apt/sources.list.d/crossmill-backports.list >/dev/null
    as_root apt-get update -q
  fi
  # The firmware that qemu's packages depend on comes from the same suite.
  printf 'Package: src:qemu src:seabios src:opensbi src:edk2\nPin: release n=%s-backports\nPin-Priority: 500\n' "$codename" |
    as_root tee /etc/apt/preferences.d/crossmill-qemu >/dev/null
}
