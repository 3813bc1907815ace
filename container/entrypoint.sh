#!/bin/sh
# Puts the project of this image into an empty workspace, or one that an older image filled, then runs the command.
# A checkout that is mounted here stays as it is. So do results, dvc.lock and .dvc/config.local in any case.
set -eu
for path in . .dvc/tmp dvc.lock; do
  [ ! -e "$path" ] || [ -w "$path" ] || {
    echo "error: user $(id -u) cannot write $PWD/$path: run as its owner (--user), or mount another volume" >&2
    exit 1
  }
done
is_ours() { [ ! -e dvc.yaml ] || [ -e .dvc/image ]; }
is_of_this_image() { cmp -s /app/.dvc/image .dvc/image; }
if is_ours && ! is_of_this_image; then
  mkdir -p .dvc/tmp
  (
    flock 9 # as long as a pipeline is at work here, or another container does the same
    ! is_of_this_image || exit 0
    rm -rf container digits flows stages web
    for path in /app/* /app/.dvcignore; do
      [ "$path" = /app/dvc.lock ] && [ -e dvc.lock ] || cp -R "$path" .
    done
    cp /app/.dvc/config .dvc/
    cp /app/.dvc/image .dvc/ # last: whoever is interrupted begins again
  ) 9>>.dvc/tmp/pipeline.lock
fi
exec "$@"
