#!/bin/bash
# Trains on a slice of TPU VMs that may be preempted. Run it where gcloud is; it ends when training has ended.
#
#   PROJECT=my-project ZONE=us-west4-a NFS=10.0.0.2:/share jobs/tpu_vm.sh
#
# A slice is asked for as a queued resource. Each of its hosts runs jobs/tpu_host.sh when it starts, and so trains. A
# preempted slice is deleted and another asked for, which goes on from the last checkpoint; the same command, started
# again meanwhile, watches on. When training has ended the slice is deleted.
# Set: NFS, a share in the slice's network (Filestore, say) with the checkout in its folder `heed`; DATA and WORKDIR,
# folders on the share, of timelines and for checkpoints; CONFIG; TYPE and RUNTIME of the slice.
set -euo pipefail

NAME=${NAME:-heed}
PROJECT=${PROJECT:?the Google Cloud project}
ZONE=${ZONE:?a zone with TPUs of that type}
NFS=${NFS:?address:/path of the share}
TYPE=${TYPE:-v5litepod-16}
RUNTIME=${RUNTIME:-v2-alpha-tpuv5-lite}
DATA=${DATA:-timelines}
WORKDIR=${WORKDIR:-run}
CONFIG=${CONFIG:-configs/retrieval.py:standard}
SECONDS_BETWEEN=${SECONDS_BETWEEN:-60}

where=(--project="$PROJECT" --zone="$ZONE")
host=$(dirname "$0")/tpu_host.sh

ask_for() {
  gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" "${where[@]}" --spot \
    --accelerator-type="$TYPE" --runtime-version="$RUNTIME" --metadata-from-file=startup-script="$host" \
    --metadata="^;^nfs=$NFS;config=$CONFIG;data=$DATA;workdir=$WORKDIR"
}
delete() { gcloud compute tpus queued-resources delete "$NAME" "${where[@]}" --force --quiet; }
# Of the slice: NONE where there is none; nothing where gcloud does not answer, which then says why.
state() {
  local said
  if said=$(gcloud compute tpus queued-resources describe "$NAME" "${where[@]}" --format='value(state.state)' 2>&1); then
    echo "${said##*$'\n'}"
  elif [[ $said == *NOT_FOUND* ]]; then
    echo NONE
  else
    echo "$said" >&2
  fi
}
# What jobs/tpu_host.sh left on the share: nothing while it trains, or where nobody answers.
status() {
  gcloud compute tpus tpu-vm ssh "$NAME" "${where[@]}" --worker=0 --command="cat /mnt/heed/$WORKDIR.status" 2>/dev/null
}

before=nothing
while true; do
  now=$(state)
  [ -n "$now" ] || [ "$before" != nothing ] || exit 1  # at first it is a mistake, later a hiccup
  [ "$now" = "$before" ] || echo "$(date +%H:%M:%S) ${now:-gcloud does not answer}"
  before=$now
  case $now in
    NONE) ask_for ;;
    SUSPENDED | FAILED)
      delete
      ask_for
      ;;
    ACTIVE)
      ended=$(status || true)
      if [ -n "$ended" ]; then
        echo "ended with status $ended; what it said: $WORKDIR.log on $NFS"
        delete
        exit "$ended"
      fi
      ;;
  esac
  sleep "$SECONDS_BETWEEN"
done
