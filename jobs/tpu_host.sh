#!/bin/bash
# What each host of jobs/tpu_vm.sh's slice runs, as root, whenever it starts: mounts the share, installs, trains.
#
# Nothing to set: jobs/tpu_vm.sh writes it into the slice's metadata. On the share lie WORKDIR.log, what the first host
# says, and WORKDIR.status, once training has ended for good: 0 by the first host, anything else by the one that failed.
set -uo pipefail

SHARE=${SHARE:-/mnt/heed}
VENV=${VENV:-/opt/heed}

attribute() {
  curl -sf -H Metadata-Flavor:Google "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1"
}
prepare() {
  apt-get update -q && apt-get install -qy nfs-common python3.11-venv libgomp1 || return
  mkdir -p "$SHARE"
  mountpoint -q "$SHARE" || mount -t nfs "$(attribute nfs)" "$SHARE" || return
  cd "$SHARE/heed" || return
  [ -x "$VENV/bin/python" ] || python3.11 -m venv "$VENV"
  "$VENV/bin/python" -m pip install -q --require-hashes -r requirements-tpu.txt
}

until prepare; do sleep 30; done
number=$(attribute agent-worker-number)
data=$SHARE/$(attribute data)
workdir=$SHARE/$(attribute workdir)
config=$(attribute config)
log=/dev/null
if [ "$number" = 0 ]; then
  log=$workdir.log
  rm -f "$workdir.status"
fi

while true; do
  "$VENV/bin/python" -m retrieval.train --config="$config" --data="$data" --workdir="$workdir" --coordinator=auto \
    >>"$log" 2>&1
  status=$?
  case $status in
    0)
      [ "$number" != 0 ] || echo 0 >"$workdir.status"
      exit
      ;;
    143) exit ;;  # this host is being stopped; it trains when it starts again
    5 | 134)      # another host has ended: for good, or it comes back
      [ -e "$workdir.status" ] && exit
      sleep "${SECONDS_BETWEEN:-30}"
      ;;
    *)
      echo "$status" >"$workdir.status"
      exit
      ;;
  esac
done
