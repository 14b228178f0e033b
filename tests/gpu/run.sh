#!/usr/bin/env bash
# Every check that needs a GPU, as one command with one line each. A GPU machine needs no .NET: a folder is prepared
# where there is one, and travels.
#
#   tests/gpu/run.sh prepare                 here: publishes into .gpu/ and packs what a check needs
#   tests/gpu/run.sh stash                   there, where not all travels at once: keeps what came outside of the tree
#   tests/gpu/run.sh check [--device cuda]   there: the checks; --device cpu runs the same without a GPU
#
# GPU_KIT names the folder with the provider kit, GPU_DATA the reference cases, GPU_MODELS the models to time, GPU_TIME
# the seconds for all checks (460), GPU_VERIFY_TIME those of one run over the cases (150), GPU_RUNS the steps that are
# timed (20), GPU_TIMED the models (three), GPU_STASH where stash keeps things, GPU_LOGS a folder for whole logs, and
# GPU_PARTS the checks to run (all).
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
shared=${GPU_SHARED:-$root/../shared}
kit=${GPU_KIT:-$shared/tools/cuda-provider} data=${GPU_DATA:-$shared/data} models=${GPU_MODELS:-$shared/models}
stash=${GPU_STASH:-${TMPDIR:-/tmp}/ortcpr-gpu} gpu=$root/.gpu
timed=${GPU_TIMED:-gpt2_5m gpt2_small resnet18_cifar100} verify_time=${GPU_VERIFY_TIME:-150}

# Builds elsewhere than usual: the restored state of a platform of its own would be in the way of the next plain build.
publish() {
  dotnet publish "$1" -c Release -r linux-x64 --self-contained -p:PublishTrimmed=false -p:ArtifactsPath="$root/.build/gpu/" \
    -v q --nologo -o "$gpu/app" || exit 1
}

# The kit's own test, as a program beside ours: a project of its own, outside of our build settings.
publish_smoke() {
  local folder
  folder=$(mktemp -d)
  cat >"$folder/Smoke.csproj" <<PROJECT
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><AllowUnsafeBlocks>true</AllowUnsafeBlocks>
    <InvariantGlobalization>true</InvariantGlobalization>
  </PropertyGroup>
  <ItemGroup>
    <Compile Include="$kit/smoke/Smoke.cs" /><PackageReference Include="Microsoft.ML.OnnxRuntime" Version="1.31.1" />
  </ItemGroup>
</Project>
PROJECT
  publish "$folder/Smoke.csproj"
  rm -rf "$folder"
}

# Reference cases that the tree does not hold already.
further_cases() {
  (cd "$data" && find gradients optimizer trajectories -type f ! -name README.md) | while read -r file; do
    [ -e "OrtCpr.Tests/Data/cases/${file#gradients/}" ] || echo "$file"
  done
  (cd "$data" && find ort-artifacts -type f ! -name README.md)
}

prepare() {
  rm -rf "$gpu"
  mkdir -p "$gpu/kit"
  publish OrtCpr.Tests
  publish OrtCpr.Tool
  rm -rf "$gpu/app/Data"
  [ -d "$kit/smoke" ] && publish_smoke
  # The tests bring libraries of other platforms and debug symbols along; the kit brings its own libonnxruntime.so.
  find "$gpu/app" \( -name '*.pdb' -o -name 'onnxruntime.dll' -o -name '*.dylib' -o -name 'libmscord*' \
    -o -name 'libclrgc*' -o -name 'libcoreclrtraceptprovider.so' -o -name '*.xml' -o -name 'Microsoft.VisualBasic*' \) -delete
  tar -C "$gpu" --exclude=libonnxruntime.so -cf - app | xz -T0 -6 >"$gpu/app.tar.xz"
  tar -C "$models" -cf - $(for m in $timed; do echo "$m.onnx"; done) | xz -6 >"$gpu/models.tar.xz"
  further_cases | tar -C "$data" -cf - -T - | xz -T0 -6 >"$gpu/data.tar.xz"
  cp -r "$kit"/*.tar.xz "$kit/with-cuda.sh" "$gpu/kit/"
  [ -d "$kit/smoke" ] && cp -r "$kit/smoke" "$gpu/kit/"
  chmod -R u+w "$gpu"
  local tree
  tree=$(git ls-files -z | xargs -0 du -cb | tail -n 1 | cut -f 1)
  echo "bytes: tree $tree, $(cd "$gpu" && du -sb kit app.tar.xz models.tar.xz data.tar.xz | tr '\t\n' ' ,')"
  echo "What does not fit in one go is stashed by an earlier one."
}

keep() {
  mkdir -p "$stash"
  for part in kit app.tar.xz models.tar.xz data.tar.xz; do
    if [ -e "$gpu/$part" ]; then cp -r "$gpu/$part" "$stash/" && echo "kept $part"; fi
  done
}

part() {
  for folder in "$gpu" "$stash"; do
    if [ -e "$folder/$1" ]; then echo "$folder/$1" && return; fi
  done
  echo "There is no $1: run 'tests/gpu/run.sh prepare' first, or stash it." >&2
  exit 1
}

unpack() {
  python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter="data")' "$(part "$1")" \
    "$work"
}

# run NAME SECONDS COMMAND...: the output goes to $log; says FAIL and why where it does not end well in its time.
run() {
  name=$1
  local budget=$2 left=$((deadline - SECONDS)) code
  shift 2
  if [ "$left" -lt 5 ]; then echo "SKIP  $name: no time left" && return 1; fi
  [ "$budget" -gt "$left" ] && budget=$left
  timeout -k 5 "$budget" "$@" >"$log" 2>&1
  code=$?
  [ -n "${GPU_LOGS:-}" ] && { echo "== $name: $code"; tail -c 200000 "$log"; } >>"$GPU_LOGS/log.txt"
  [ "$code" -eq 0 ] && return 0
  if grep -qE 'Unrecognized (command|argument)|Unknown option|unrecognized arguments' "$log"; then
    echo "      $name: not available"
    return 1
  fi
  echo "$name" >>"$work/failed"
  if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then echo "FAIL  $name: not done in $budget s"
  else echo "FAIL  $name: $(grep -v '^$' "$log" | tail -n 1 | cut -c 1-300)"; fi
  return 1
}

check_verify() {
  : >"$log"
  if run "$1" "$verify_time" "${with[@]}" "$app/OrtCpr.Tool" verify "${cases[@]}" --device "$device" --kernels "$2"; then
    echo "PASS  $1: $(tail -n 1 "$log")"
  else
    grep '^FAILED' "$log" | cut -c 1-200 | head -n 12
    grep -E '^[0-9]+ passed' "$log" | tail -n 1
  fi
}

# The largest figure that nvidia-smi shows while a command runs, in MiB.
watch_memory() {
  while :; do
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null | head -n 1
    sleep 0.2
  done >"$work/memory"
}

size_of() {
  case $1 in
    gpt2_5m) echo "--size batch=8 --size sequence=128" ;;
    gpt2_small) echo "--size batch=4 --size sequence=512" ;;
    *) echo "--size batch=128 --batch-normalization training" ;;
  esac
}

bench() {
  local model=$1 precision=$2 optimizer=$3 watcher options=()
  [ "$precision" = f32 ] || options=(--precision "$precision")
  # shellcheck disable=SC2046
  set -- "${with[@]}" "$app/OrtCpr.Tool" bench "$work/$model.onnx" --device "$device" --optimizer "$optimizer" --runs "$runs" \
    $(size_of "$model") "${options[@]}"
  : >"$work/memory"
  : >"$log"
  watch_memory &
  watcher=$!
  if run "ortcpr $model $precision $optimizer" 60 "$@"; then
    echo "      $name: $(grep '^step:' "$log" | tail -n 1), peak $(sort -n "$work/memory" | tail -n 1 | grep . || echo '-') MiB"
  fi
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
}

# Nodes that ran in a step, by provider, and their time by operator, from ONNX Runtime's profiles. A node on a device is
# one kernel launch or more; with CUDA_LAUNCH_BLOCKING each node's time is that of its kernels.
profile_nodes() {
  local model=$1 precision=$2 steps=5 folder=$work/profile options=()
  rm -rf "$folder"
  [ "$precision" = f32 ] || options=(--precision "$precision")
  # shellcheck disable=SC2046
  CUDA_LAUNCH_BLOCKING=1 run "nodes a step, $model $precision" 60 "${with[@]}" "$app/OrtCpr.Tool" bench "$work/$model.onnx" \
    --device "$device" --optimizer adamcpr --runs $((steps - 1)) --profile "$folder" $(size_of "$model") "${options[@]}" || return
  python3 tests/gpu/nodes.py "$folder" "$steps" "${GPU_LOGS:-}" | sed "s/^/      $name: /"
}

wants() { case " ${GPU_PARTS:-all} " in *" all "* | *" $1 "*) return 0 ;; *) return 1 ;; esac; }

aside() {
  local part=$1
  shift
  if wants "$part"; then
    (log=$work/log-$part && "$@") >"$work/aside-$part" 2>&1 &
  fi
}

check_tests() {
  if ORTCPR_DEVICE=$device run "$1" 120 "${with[@]}" "$app/OrtCpr.Tests" --no-progress --no-ansi --filter "$2"; then
    echo "PASS  $name: $(sed -nE 's/^ *succeeded: ([0-9]+).*/\1/p' "$log" | tail -n 1) tests"
  else
    grep -E '^failed ' "$log" | cut -c 1-150 | head -n 40
    sed -nE 's/^ *(failed|succeeded): ([0-9]+).*/      \1 \2/p' "$log" | tail -n 2
  fi
}

check() {
  device=cuda
  while [ $# -gt 0 ]; do
    case $1 in
      --device) device=${2:?--device needs a name} && shift 2 ;;
      *) echo "Unknown argument '$1'." >&2 && exit 2 ;;
    esac
  done
  deadline=$((SECONDS + ${GPU_TIME:-460})) runs=${GPU_RUNS:-20}
  work=$(mktemp -d) log=$work/log with=()
  : >"$work/failed"
  # A child that is killed early runs this too.
  trap '[ "$BASHPID" = "$$" ] && rm -rf "$work"' EXIT
  export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
  unpack models.tar.xz && unpack data.tar.xz || exit 1
  if [ "$device" = cpu ]; then
    app=$gpu/app
  else
    unpack app.tar.xz || exit 1
    app=$work/app
    with=(sh "$(part kit)/with-cuda.sh" "$app")
  fi
  cases=(OrtCpr.Tests/Data/cases "$work/gradients" "$work/optimizer" "$work/trajectories" "$work/ort-artifacts")
  [ -e "$app/Data" ] || ln -s "$root/OrtCpr.Tests/Data" "$app/Data"
  echo "      $(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo 'no nvidia-smi')"

  if run devices 60 "${with[@]}" "$app/OrtCpr.Tool" devices; then
    if grep -qE "^available +${device%%[:,]*} " "$log"; then echo "PASS  devices: $(grep -E "^available +${device%%[:,]*} " "$log")"
    else echo "FAIL  devices: $(grep "${device%%[:,]*}" "$log" | head -n 1)" && echo devices >>"$work/failed"; fi
  fi
  if wants smoke && [ -x "$app/Smoke" ] && run "smoke test of the kit" 60 "${with[@]}" "$app/Smoke" "${device%%[:,]*}" "$(part kit)/smoke"
  then
    echo "PASS  $name"
  fi
  # One test counts copies between host and device, of which there are none on the CPU.
  local tests="FullyQualifiedName~DeviceTrainingTests"
  [ "$device" = cpu ] && tests="$tests&FullyQualifiedName!~CopiesNothing"
  # What is not timed runs side by side.
  aside kernels check_tests "kernels against their bodies" "FullyQualifiedName~CudaFunctionTests|FullyQualifiedName~CudaUpdateTests"
  aside training check_tests "training on the device" "$tests"
  aside verify check_verify "verify, kernels on" on
  aside off check_verify "verify, kernels off" off
  wait
  cat "$work"/aside-* 2>/dev/null
  if wants bench; then
    for model in $timed; do
      for precision in ${GPU_PRECISIONS:-f32 tf32 bf16}; do
        for optimizer in adamw adamcpr; do bench "$model" "$precision" "$optimizer"; done
      done
    done
  fi
  # shellcheck disable=SC2086
  if wants torch && run torch 120 python3 OrtCpr.Benchmarks/Peers/torch_steps.py --device "$device" --steps "$runs" \
    --precision ${GPU_PRECISIONS:-f32 tf32 bf16}; then
    sed 's/^/      /' "$log"
    run "torch with cudnn.benchmark" 60 python3 OrtCpr.Benchmarks/Peers/torch_steps.py --device "$device" --steps "$runs" \
      --precision ${GPU_PRECISIONS:-f32 tf32 bf16} --model resnet18 --benchmark && sed 's/^/      /' "$log"
  fi
  if wants profile; then
    for model in $timed; do
      for precision in ${GPU_PROFILED:-f32 bf16}; do profile_nodes "$model" "$precision"; done
    done
  fi
  echo "$(wc -l <"$work/failed") failed, $SECONDS s"
  [ ! -s "$work/failed" ]
}

case ${1:-} in
  prepare) prepare ;;
  stash) keep ;;
  check) shift && check "$@" ;;
  *) sed -n '2,12p' "$0" | sed 's/^# \{0,1\}//' && exit 2 ;;
esac
