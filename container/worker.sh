#!/bin/sh
# Puts the schedules of this image on the server of PREFECT_API_URL, then works until it is stopped.
set -eu
prefect work-pool inspect digits-process >/dev/null 2>&1 || prefect work-pool create --type process digits-process
prefect --no-prompt deploy --name nightly --name weekly
python -m prefect_dvc strict pipeline/nightly
python -m flows.automations
exec python -m flows.worker --pool digits-process --type process --limit 1 --with-healthcheck
