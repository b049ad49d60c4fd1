# System packages: what is missing is found by looking, and installed with apt-get; sourced.

oldest_postgres=15
by_hand="Python 3.11+ with venv, PostgreSQL 15+ with PostGIS 3.3+ (or WANGGE_DATABASE_URL for one that runs elsewhere)"

# Python 3.11 or newer; nothing is printed when there is none.
find_python() {
  for python in ${WANGGE_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$python"
      return
    fi
  done
}

venv_works() {
  .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
    ls .venv/lib/python3*/site-packages/pip/__init__.py >/dev/null 2>&1
}

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# The newest PostgreSQL that has PostGIS, as a major version; with the word any: also one without.
find_postgres() {
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    [ -x "$folder/initdb" ] || continue
    major=$(printf '%s\n' "$folder" | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    [ "$major" -ge $oldest_postgres ] || continue
    if [ "${1:-}" = any ] || has_postgis "${folder%/bin}/lib"; then printf '%s\n' "$major"; fi
  done | sort -n | tail -n 1
}

has_postgis() { ls "$1"/postgis-*.so >/dev/null 2>&1; }

has_postgres() {
  [ -n "${WANGGE_DATABASE_URL:-}" ] || [ -n "$(find_postgres)" ] ||
    { command -v pg_config >/dev/null && [ -x "$(pg_config --bindir)/initdb" ] &&
      has_postgis "$(pg_config --pkglibdir)"; }
}

# On Ubuntu `chromium` is a snap, which the tests cannot use: there is nothing to install then.
has_browser() {
  command -v chromium >/dev/null || command -v google-chrome >/dev/null ||
    ! grep -q '^ID=debian' /etc/os-release 2>/dev/null
}

has_chinese_font() { ls /usr/share/fonts/opentype/noto/NotoSansCJK* >/dev/null 2>&1; }

# The tests drive the browser through a program that needs it; the smallest systems come without.
has_libatomic() { find /usr/lib /usr/lib64 -maxdepth 2 -name libatomic.so.1 2>/dev/null | grep -q .; }

# Which of the things are missing, as words.
missing_things() {
  python=$(find_python)
  venv_works || { [ -n "$python" ] && has_venv "$python"; } || printf 'python '
  [ "$1" = image ] || has_postgres || printf 'postgres '
  if [ "$1" = dev ]; then
    has_browser || printf 'browser '
    has_libatomic || printf 'libatomic '
    has_chinese_font || printf 'font '
  fi
}

install_system_packages() {
  missing=$(missing_things "$1")
  missing=${missing% }
  [ -n "$missing" ] || return 0
  case $missing in *python* | *postgres*) ;; *) can_install || { say_skipped; return 0; } ;; esac
  command -v apt-get >/dev/null ||
    fail "This is no Debian or Ubuntu: install $by_hand, then run the command again."
  can_install ||
    fail "No right to install packages (neither root nor sudo): ask for $by_hand; missing here: $missing."
  say "Installing what the system lacks: $missing"
  $as_root apt-get update -qq || say "The list of packages could not be renewed; going on with the old one."
  packages=
  for thing in $missing; do
    packages="$packages $("packages_for_$thing")" || exit 1
  done
  case $packages in *postgresql*) without_system_cluster ;; esac
  # shellcheck disable=SC2086  # a list of words
  apt_install $packages || fail "apt-get could not install$packages (see above); install them by hand and run the command again."
  rest=$(missing_things "$1")
  case $rest in *python* | *postgres*) fail "Still missing after the installation: $rest; install $by_hand." ;; esac
}

# Whether packages can be installed; sets as_root to what makes us root.
can_install() {
  as_root=
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" != 0 ] || return 0
  as_root=sudo
  command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }
}

say_skipped() { say "No right to install packages: tests that need what is missing ($missing) are skipped."; }

apt_install() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

packages_for_python() {
  python=$(find_python)
  if [ -n "$python" ]; then
    printf '%s-venv' "$(basename "$python")"
    return
  fi
  offered=$(apt-cache show --no-all-versions python3 2>/dev/null | sed -n 's/^Version: 3\.\([0-9]*\).*/\1/p' | head -n 1)
  [ "${offered:-0}" -ge 11 ] ||
    fail "Python 3.11 or newer is needed and this system offers 3.${offered:-?}; install a newer one and name it in WANGGE_PYTHON."
  printf 'python3 python3-venv'
}

packages_for_postgres() {
  major=$(find_postgres any)
  if [ -z "$major" ]; then
    major=$(apt-cache pkgnames postgresql- | sed -n 's/^postgresql-\([0-9]*\)-postgis-3$/\1/p' | sort -n | tail -n 1)
    [ "${major:-0}" -ge $oldest_postgres ] ||
      fail "PostgreSQL 15+ with PostGIS is needed and this system offers ${major:-none}; add PostgreSQL's own package source (apt.postgresql.org) or set WANGGE_DATABASE_URL."
  fi
  printf 'postgresql-%s postgresql-%s-postgis-3' "$major" "$major"
}

packages_for_browser() { printf 'chromium'; }

packages_for_libatomic() { printf 'libatomic1'; }

packages_for_font() { printf 'fonts-noto-cjk'; }

# Debian starts a cluster of its own with the package, which nobody here would use.
without_system_cluster() {
  dpkg-query -W -f '${Status}' postgresql-common 2>/dev/null | grep -q 'ok installed' && return
  [ ! -e /etc/postgresql-common/createcluster.conf ] || return 0
  $as_root mkdir -p /etc/postgresql-common
  printf '%s\n' "# Written by Wangge's set-up: no cluster is made with a server package; remove to undo." \
    "create_main_cluster = false" | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
}
