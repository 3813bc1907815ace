#!/bin/sh
# Puts the project of this image into an empty workspace, or one that an older image filled, then runs the command.
# A checkout that is mounted here stays as it is, and so does what the user has changed or added in any case: where
# the image has another file of that name, it is put beside it as NAME.new.
set -eu
app=${APP:-/app}
for path in . .dvc/tmp dvc.lock; do
  [ ! -e "$path" ] || [ -w "$path" ] || {
    echo "error: user $(id -u) cannot write $PWD/$path: run as its owner (--user), or mount another volume" >&2
    exit 1
  }
done
is_ours() { [ ! -e dvc.yaml ] || [ -e .dvc/image ]; }
is_of_this_image() { cmp -s "$app/.dvc/image" .dvc/image; }

# .dvc/image.sums lists what the image before this one has brought; a volume of older images has no such list.
remove_unchanged() {
  if [ -e .dvc/image.sums ]; then
    sha256sum --check .dvc/image.sums 2>/dev/null | sed -n 's/: OK$//p' | xargs -r -d '\n' rm -f --
  elif [ -s .dvc/image ]; then
    put_aside container digits flows prefect_dvc stages web .dvcignore dvc.yaml prefect.toml prefect.yaml requirements*.lock
  fi
}

put_aside() { # PATHS; nobody can tell what of them the user has changed, and they must not stay beside newer code
  number=1
  while [ -e ".dvc/tmp/older-image.$number" ]; do number=$((number + 1)); done
  aside=.dvc/tmp/older-image.$number
  mkdir "$aside"
  for path in "$@"; do
    [ ! -e "$path" ] || mv "$path" "$aside"
  done
  echo "code of an older image, with all that was changed or added in it, is in $aside now" >&2
}

bring() { # FILE
  case $1 in
    versions.yaml) ;; # of the image, whatever was here
    *) if [ -e "$1" ]; then
      cmp -s "$app/$1" "$1" || [ "$1" = dvc.lock ] || {
        copy "$1" "$1.new"
        echo "$1 has been changed here and stays; that of the image is $1.new" >&2
      }
      return
    fi ;;
  esac
  case $1 in */*) mkdir -p "${1%/*}" ;; esac
  copy "$1" "$1"
}

copy() { # FILE TARGET; a target is whole or not there
  case $2 in */*) part=${2%/*}/.${2##*/}.part ;; *) part=.$2.part ;; esac
  cp "$app/$1" "$part"
  mv "$part" "$2"
}

if is_ours && ! is_of_this_image; then
  mkdir -p .dvc/tmp
  (
    flock 9 # as long as a pipeline is at work here, or another container does the same
    ! is_of_this_image || exit 0
    [ -e .dvc/image ] || : >.dvc/image # empty: it is ours, and not of any image yet
    remove_unchanged
    # Should this be interrupted, an image that comes then must know what both have brought.
    cat "$app/.dvc/image.sums" >>.dvc/image.sums
    sed 's/^[^ ]*  //' "$app/.dvc/image.sums" | while IFS= read -r file; do bring "$file"; done
    copy .dvc/image.sums .dvc/image.sums
    copy .dvc/image .dvc/image # last: whoever is interrupted begins again
  ) 9>>.dvc/tmp/pipeline.lock
fi
exec "$@"
