using System.Diagnostics;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Verify;

// What became of a case.
// Of a case that says nothing about the precision Message tells why it was left out.
internal sealed record CaseResult(string Case, string Kind, bool Passed, int Compared, double Seconds, string? Message,
    bool LeftOut = false);

// Runs one case in this process.
internal static class CaseRunner
{
    public const string ArtifactsKind = "ort-artifacts";

    // Stands for a folder of artifacts without a recorded run.
    public const string ArtifactsModel = "training_model.onnx";

    // The recorded run of a folder of artifacts; the folder has the case's name.
    public const string ArtifactsRun = "trajectory.safetensors";

    private static readonly Dictionary<string, Action<CaseData, TensorCheck, DriverOptions>> Kinds = new(StringComparer.Ordinal)
    {
        ["optimizer-trajectory"] = OptimizerTrajectory.Run,
        ["op-gradient"] = OpGradient.Run,
        ["model-gradient"] = ModelGradient.Run,
        ["training-trajectory"] = TrainingTrajectory.Run,
        [ArtifactsKind] = OrtArtifacts.Run,
    };

    public static IReadOnlyCollection<string> KnownKinds => Kinds.Keys;

    public static string NameOf(string path) =>
        Path.GetFileName(path) is ArtifactsRun or ArtifactsModel ? Path.GetFileName(Path.GetDirectoryName(Path.GetFullPath(path)))!
            : Path.GetFileNameWithoutExtension(path);

    public static CaseResult Run(string path, DriverOptions options, Precision precision = Precision.Float32)
    {
        string name = NameOf(path);
        var watch = Stopwatch.StartNew();
        string kind = "?";
        var check = new TensorCheck(new CasePrecision(precision));
        try
        {
            options = options with { KeepGraphs = options.KeepGraphs is null ? null : Path.Combine(options.KeepGraphs, name) };
            if (Path.GetFileName(path) == ArtifactsModel)
            {
                kind = ArtifactsKind;
                check.Precision.LeaveOutUnless(false, "artifacts of ONNX Runtime training run as they are");
                OrtArtifacts.Load(Path.GetDirectoryName(path)!, check, options);
                return new(name, kind, check.Wrong.Count == 0, check.Compared, watch.Elapsed.TotalSeconds, check.Wrong.Count == 0 ? null
                    : Summary(check));
            }
            using var data = new CaseData(path);
            kind = data.Kind;
            if (!Kinds.TryGetValue(kind, out Action<CaseData, TensorCheck, DriverOptions>? run))
                throw new CaseException($"kind '{kind}' is not known; known: {string.Join(", ", Kinds.Keys)}");
            check.Precision.LeaveOutUnless(kind is not (ArtifactsKind or "optimizer-trajectory"), "it has no graph that trains a model");
            run(data, check, options);
            string? message = check.Wrong.Count > 0 ? Summary(check)
                : data.Unused.Count > 0 ? $"stored tensors that nothing computes: {string.Join(", ", data.Unused.Take(5))}"
                : check.Compared == 0 ? "nothing was compared" : null;
            return new(name, kind, message is null, check.Compared, watch.Elapsed.TotalSeconds, message);
        }
        catch (LeftOutException error)
        {
            return new(name, kind, true, 0, watch.Elapsed.TotalSeconds, error.Message, LeftOut: true);
        }
        catch (Exception error) when (error is CaseException or OrtCprException)
        {
            return new(name, kind, false, check.Compared, watch.Elapsed.TotalSeconds, error.Message);
        }
#pragma warning disable CA1031 // Whatever goes wrong in a case is that case's result; the run goes on.
        catch (Exception error)
#pragma warning restore CA1031
        {
            return new(name, kind, false, check.Compared, watch.Elapsed.TotalSeconds,
                $"{error.GetType().Name}: {error.Message} {error.StackTrace?.Split('\n').FirstOrDefault()?.Trim()}");
        }
    }

    private static string Summary(TensorCheck check) =>
        check.Wrong.Count == 1 ? check.Wrong[0] : $"{check.Wrong[0]} (and {check.Wrong.Count - 1} more wrong tensors)";
}
