using Samples;

namespace Browser;

// What the command line asks for.
internal sealed record Settings
{
    [Option("where the page is served; 0 for any free port", Least = 0, Most = 65535)] public int Port { get; init; } = 8080;
    [Option("address to listen at; 0.0.0.0 lets other machines of the network in, a telephone say")]
    public string Host { get; init; } = "127.0.0.1";
    [Option("folder with the files of the npm package onnxruntime-web 1.19.2 (its dist); default: what the build fetched")]
    public string? Runtime { get; init; }
    [Option("steps on drawings of this program, before anybody draws", Least = 1)] public int Steps { get; init; } = 600;
    [Option("steps that browser and .NET make on the same batches", Least = 1, Most = 1000)] public int CheckSteps { get; init; } = 20;
    [Option("drawings a batch, in the browser too", Least = 1, Most = 1000)] public int BatchSize { get; init; } = 16;
    [Option("of first weights and drawings")] public int Seed { get; init; } = 1;
    [Option("folder for all files")] public string Out { get; init; } = "browser";

    public string ArtifactsFolder => Path.Combine(Out, "artifacts");

    public string ModelPath => Path.Combine(Out, "digits.onnx");

    public string PersonalPath => Path.Combine(Out, "personal.onnx");

    public string RuntimeFolder => Path.GetFullPath(Runtime ?? Path.Combine(AppContext.BaseDirectory, "ort-web"));

    // Reads a command line and does what it asks for; gives the exit code.
    public static int Run(string[] words, Func<Settings, CancellationToken, int> run) => RecordOptions.Run<Settings>(
        "Trains a reader of digits in the browser, with AdamCPR, from artifacts that are made here.", words, run,
        (settings, _, problems) =>
        {
            string[] files = ["ort.training.wasm.min.mjs", "ort-training-wasm-simd-threaded.mjs", "ort-training-wasm-simd-threaded.wasm"];
            string[] missing = [.. files.Where(f => !File.Exists(Path.Combine(settings.RuntimeFolder, f)))];
            if (missing.Length == 0) return;
            problems.Add($"'{settings.RuntimeFolder}' lacks {string.Join(", ", missing)} of the npm package onnxruntime-web 1.19.2; "
                + "build this sample by itself where npm is (dotnet build samples/Browser), or name the package's folder dist by "
                + "--runtime");
        });
}
