#!/usr/bin/env bash
# What must hold when things go wrong, by command: `bash tests/reliability/run.sh [kills] [mutations]`. Builds Release first; minutes. Prints a line a
# check and ends with `N passed, N failed`. The output of every run is kept until the end; where a check fails its last lines are printed, and the folder
# stays.
set -u
cd "$(dirname "$0")/../.."
dotnet build OrtCpr.sln -c Release -v quiet -nologo || exit 1
kills=${1:-200}
mutations=${2:-10000}
ortcpr="dotnet $PWD/.build/bin/OrtCpr.Tool/release/OrtCpr.Tool.dll"
tests="dotnet $PWD/.build/bin/OrtCpr.Tests/release/OrtCpr.Tests.dll"
model="$PWD/artifacts/mlp.onnx"
work=$(mktemp -d)
logs="$work/logs"
mkdir "$logs"
passed=0 failed=0 run=0
leave() {
  umount "$work/small" 2> /dev/null
  if [ "$failed" = 0 ]; then rm -rf "$work"; else echo "kept: $work (outputs of all runs in $logs)"; fi
}
trap leave EXIT
check() { # what, result, number of runs whose last lines tell why
  if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "passed  $1"; return; fi
  failed=$((failed + 1))
  echo "FAILED  $1"
  for log in $(ls "$logs" | sort -n | tail -n "${3:-1}"); do echo "--- $log"; tail -n 8 "$logs/$log"; done
}
# The file that the next run writes its output to: 1.log, 2.log …
next_log() { run=$((run + 1)); log="$logs/$run.log"; }

# A table of 600 rows that the model can learn.
awk 'BEGIN { srand(7); printf "f0"; for (i = 1; i < 10; i++) printf ",f%d", i; print ",label"; for (r = 0; r < 600; r++) { s = 0; for (i = 0; i < 10; i++) { v = 2 * rand() - 1; if (i < 3) s += v; printf "%.4f,", v } print (s > 0) + (s > 1) } }' > "$work/table.csv"
exec_train() { # folder, more words
  exec $ortcpr train "$model" --data "$work/table.csv" --label label --batch-size 20 --threads 1 --lr 0.003 --kappa-init-method warm_start --kappa-init-param 30 --checkpoint-every 1 --log-every 50 --out "$@"
}

# Runs it and gives its exit code; its output is in $log.
train() { next_log; (exec_train "$@") > "$log" 2>&1; }

# 1. Killed at random moments while it saves after every step, and resumed each time: the weights of the end are those of a run that nobody disturbed.
epochs=$((kills * 12 + 60))
train "$work/whole" --epochs "$epochs"
done_kills=0 late=0
for ((i = 0; i < kills; i++)); do
  # exec: the process that is killed is the program, not a shell around it.
  next_log
  (exec_train "$work/killed" --epochs "$epochs" --resume > "$log" 2>&1) &
  pid=$!
  sleep "0.$((RANDOM % 900 + 100))"
  sleep 0.4
  if kill -9 "$pid" 2> /dev/null; then done_kills=$((done_kills + 1)); else late=1; fi
  wait "$pid" 2> /dev/null
  code=$?
  # A run that ended by itself is the end when it is finished, and a failure when not.
  [ "$late" = 1 ] && break
done
if [ "$late" = 1 ]; then
  [ "$code" = 0 ]
  check "a run that ended by itself after $done_kills kills was finished (exit code $code)" $? 2
fi
train "$work/killed" --epochs "$epochs" --resume
cmp -s "$work/whole/model.onnx" "$work/killed/model.onnx"
check "$done_kills kills, each resumed: the final weights are those of the undisturbed run, bit for bit" $? 3
[ -z "$(find "$work/killed" -name '*.tmp')" ]
check "no temporary file is left of $done_kills kills" $?

# 2. A full disk: the error names the file, the checkpoint of before is whole, and the run goes on when there is room again.
mkdir "$work/small"
if mount -t tmpfs -o size=20m tmpfs "$work/small" 2> /dev/null; then
  train "$work/small/job" --epochs 4
  train "$work/room" --epochs 6
  head -c 30m /dev/zero > "$work/small/filler" 2> /dev/null
  train "$work/small/job" --epochs 6 --resume
  code=$?
  [ "$code" = 1 ] && grep -q "$work/small/job/" "$log" && grep -q "can't be written" "$log"
  check "a full disk: exit code 1, and the error names the file" $?
  rm "$work/small/filler"
  train "$work/small/job" --epochs 6 --resume
  cmp -s "$work/small/job/model.onnx" "$work/room/model.onnx"
  check "with room again the run goes on, bit for bit" $?
  mount -o remount,ro "$work/small"
  train "$work/small/job" --epochs 8 --resume
  code=$?
  [ "$code" = 1 ] && grep -q "$work/small/job" "$log"
  check "a folder that cannot be written: exit code 1, and the error names it" $?
else
  echo "left out: a full disk, and a folder that cannot be written (mounting needs root)"
fi

# 3. Memory over 20,000 steps, and mutated files of every format.
next_log
ORTCPR_MUTATIONS=$mutations $tests --filter "FullyQualifiedName~Mutat|FullyQualifiedName~DamagedFiles|FullyQualifiedName~Memory_StaysFlat" > "$log" 2>&1
check "memory flat over 20,000 steps; $mutations mutated inputs of each format end in an error of ours or in success" $?
grep -E "total:|failed:|succeeded:" "$log"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
