#!/usr/bin/env bash
# From packages alone, in an empty folder: README's first program, the template of dotnet new, and the tool.
#
#   bash tests/packages/run.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_HOME=$work/home NUGET_PACKAGES=${NUGET_PACKAGES:-$HOME/.nuget/packages}
version=$(sed -n 's:.*<Version>\(.*\)</Version>.*:\1:p' "$root/Directory.Build.props")

for project in OrtCpr.Graph OrtCpr OrtCpr.Vision OrtCpr.Text OrtCpr.Distributed OrtCpr.Tables OrtCpr.Tool OrtCpr.Templates; do
  dotnet pack "$root/$project" -c Release -v q --nologo -o "$work/feed"
  # What an earlier run has unpacked is not what was packed now.
  rm -rf "$NUGET_PACKAGES/$(echo "$project" | tr '[:upper:]' '[:lower:]')/$version"
done
cat >"$work/nuget.config" <<CONFIG
<configuration><packageSources><add key="packed" value="$work/feed" /></packageSources></configuration>
CONFIG

cd "$work"
dotnet new console -o first --no-restore >/dev/null
cp "$root/samples/Regression/Program.cs" first/Program.cs
cp "$root/artifacts/mlp.onnx" first/
sed -i 's:</Project>:<ItemGroup><None Update="mlp.onnx" CopyToOutputDirectory="PreserveNewest" /></ItemGroup></Project>:' first/first.csproj
ort=$(sed -n 's:.*Include="Microsoft.ML.OnnxRuntime" Version="\(.*\)".*:\1:p' \
  "$root/OrtCpr.Templates/templates/ortcpr-finetune/FineTune.1.csproj")
dotnet add first package OrtCpr --version "$version" >/dev/null
dotnet add first package Microsoft.ML.OnnxRuntime --version "$ort" >/dev/null
(cd first && dotnet run -c Release) | tee first.log | tail -n 2
grep -q 'step 2000' first.log && echo "PASS  README's first program"

dotnet new install "$work/feed/OrtCpr.Templates.$version.nupkg" >/dev/null
dotnet new ortcpr-finetune -o tuned >/dev/null
(cd tuned && dotnet run -c Release) 2>/dev/null | tee tuned.log | grep accuracy
grep -q 'The trained model is' tuned.log && echo "PASS  dotnet new ortcpr-finetune"

dotnet tool install OrtCpr.Tool --version "$version" --tool-path "$work/tools" >/dev/null
"$work/tools/ortcpr" inspect "$root/artifacts/mlp.onnx" | head -n 1
echo "PASS  the tool"
