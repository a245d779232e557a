#!/usr/bin/env bash
# A real Slurm on this machine, as ordinary processes of this user in one folder; /etc and /run aren't touched.
#
#   bash tests/slurm/one_node.sh start [1|2]     so many nodes; each has all cores of the machine
#   eval "$(bash tests/slurm/one_node.sh env)"   sbatch, srun, sinfo then speak to it
#   bash tests/slurm/one_node.sh stop            ends what start has started, and nothing else
#
# The folder is LAWA_SLURM_FOLDER (default /tmp/lawa_slurm.UID; a short path, because sockets lie there). Exit codes of start: 0;
# 77 where Slurm isn't installed; 1 where it doesn't start, with the last words of the daemon's log.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
folder=${LAWA_SLURM_FOLDER:-/tmp/lawa_slurm.$UID}
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf

# configure NODES: slurm.conf, and for each slurmd a copy with a PMIx folder of its own, or the nodes of one job would share theirs.
configure() {
  local cores memory port i names
  cores=$(getconf _NPROCESSORS_ONLN)
  memory=$(awk '/^MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
  port=$((20000 + $$ % 10000))   # of slurmctld; the nodes have the next ones
  names=n1$( (($1 == 1)) || echo ",n$1")
  cat >"$SLURM_CONF" <<END
ClusterName=lawa
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
FirstJobId=$((port * 1000))   # Open MPI names its shared memory by the job: another Slurm on this host must have other numbers
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
ReturnToService=2
KillWait=10
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmdLogFile=$folder/slurmd.%n.log
SlurmdSpoolDir=$folder/spool.%n
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=$names Default=YES MaxTime=INFINITE State=UP GraceTime=60
PartitionName=urgent Nodes=$names MaxTime=INFINITE State=UP PriorityTier=2   # preempts main's jobs, with a minute's notice
END
  for ((i = 1; i <= $1; i++)); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + i)) CPUs=$cores RealMemory=$memory" >>"$SLURM_CONF"
  done
  for ((i = 1; i <= $1; i++)); do
    mkdir -p "$folder"/{spool,etc,pmix}.n$i
    cp "$SLURM_CONF" "$folder/etc.n$i/"
    echo "PMIxCliTmpDirBase=$folder/pmix.n$i" >"$folder/etc.n$i/mpi.conf"
  done
}

# within TENTHS COMMAND...: waits until the command succeeds.
within() {
  local i
  for ((i = 0; i < $1; i++)); do
    "${@:2}" >/dev/null 2>&1 && return
    sleep 0.1
  done
  return 1
}

# give_up DAEMON: its log's last words, and the end.
give_up() {
  printf 'one_node: %s did not start\n' "$1" >&2
  tail -n 5 "$folder/$1.log" >&2 || true
  stop
  exit 1
}

idle() {
  [[ $(sinfo -h -N -p main -t idle -o %N | wc -l) == "$1" ]]
}

start() {
  local i program
  for program in munged slurmctld slurmd srun; do
    command -v "$program" >/dev/null && continue
    printf 'one_node: %s is not installed (Debian: slurmctld slurmd munge)\n' "$program" >&2
    exit 77
  done
  stop
  mkdir -p "$folder/state"
  chmod 755 "$folder"
  configure "$1"
  (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" >"$folder/munged.out" 2>&1 || give_up munged
  slurmctld -c -f "$SLURM_CONF" || give_up slurmctld
  for ((i = 1; i <= $1; i++)); do slurmd -N "n$i" -f "$folder/etc.n$i/slurm.conf" || give_up "slurmd.n$i"; done
  within 200 idle "$1" || give_up slurmctld
}

empty() {
  [[ -z $(squeue -h) ]]
}

# stop: its jobs, the processes whose ids the daemons have written, if they still are these daemons, and the folder.
stop() {
  local file id
  [[ -f $SLURM_CONF ]] || return 0
  if scancel --user="$(id -un)" 2>/dev/null; then within 200 empty || true; fi
  for file in "$folder"/{slurmd.n1,slurmd.n2,slurmctld,munged}.pid; do
    [[ -s $file ]] || continue
    id=$(<"$file")
    grep -qzF "$folder" "/proc/$id/cmdline" 2>/dev/null || continue
    kill "$id" 2>/dev/null || true
    within 100 eval "! kill -0 $id" || kill -KILL "$id" 2>/dev/null || true
  done
  rm -rf "$folder"
}

case ${1:-} in
  start) start "${2:-1}" ;;
  stop) stop ;;
  env)
    echo "export SLURM_CONF=$SLURM_CONF OMPI_MCA_mpi_yield_when_idle=1"   # there may be more ranks than free cores
    # Two nodes on one host: Open MPI's shared memory would mix up their segments.
    if grep -q '^NodeName=n2' "$SLURM_CONF"; then
      echo "export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo"
    fi
    ;;
  *)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
