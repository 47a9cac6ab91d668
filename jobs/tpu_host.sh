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
# Removes what an earlier slice has left; what another host of this one has, which was ready sooner, stays.
forget() {
  local status
  status=$SHARE/$(attribute workdir).status
  [ "$(attribute agent-worker-number)" != 0 ] || [ "$status" -nt "$started" ] || rm -f "$status"
}
prepare() {
  apt-get update -q && apt-get install -qy nfs-common python3.11-venv libgomp1 || return
  mkdir -p "$SHARE"
  mountpoint -q "$SHARE" || mount -t nfs "$(attribute nfs)" "$SHARE" || return
  forget  # before anything slow: jobs/tpu_vm.sh reads it as soon as the share is here
  cd "$SHARE/heed" || return
  [ -x "$VENV/bin/python" ] || python3.11 -m venv "$VENV"
  "$VENV/bin/python" -m pip install -q --require-hashes -r requirements-tpu.txt
}

started=$(mktemp)  # a file as old as this run
until prepare; do sleep 30; done
number=$(attribute agent-worker-number)
data=$SHARE/$(attribute data)
workdir=$SHARE/$(attribute workdir)
config=$(attribute config)
log=/dev/null
[ "$number" != 0 ] || log=$workdir.log

while true; do
  "$VENV/bin/python" -m retrieval.train --config="$config" --data="$data" --workdir="$workdir" --coordinator=auto \
    >>"$log" 2>&1
  status=$?
  case $status in
    0)
      [ "$number" != 0 ] || echo 0 >"$workdir.status"
      exit
      ;;
    5 | 134 | 143)  # another host has ended or is being stopped: for good, or it comes back; this one, with its machine
      [ -e "$workdir.status" ] && exit
      sleep "${SECONDS_BETWEEN:-30}"
      ;;
    *)
      echo "$status" >"$workdir.status"
      exit
      ;;
  esac
done
