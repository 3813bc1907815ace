#!/bin/sh
# Writes what the entry point compares a workspace with: the files of this image (.dvc/image.sums), and of which project
# they are (.dvc/image). Nobody but root may change them then.
set -eu
cd /app
find . -type f -exec sha256sum {} + | sed 's,  \./,  ,' | sort -k 2 >/tmp/sums
sha256sum </tmp/sums >.dvc/image
mv /tmp/sums .dvc/image.sums
chmod -R a+rX,go-w .
