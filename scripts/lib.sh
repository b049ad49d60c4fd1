# Small words of the shell scripts; sourced.

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

hash_of() { sha256sum "$1" 2>/dev/null | cut -d' ' -f1; }

is_stamped() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

stamp() { printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1"; }
