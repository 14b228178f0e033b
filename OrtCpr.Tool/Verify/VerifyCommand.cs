using System.CommandLine;
using System.IO.Enumeration;
using System.Text.Json;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Tool.Train;

namespace OrtCpr.Tool.Verify;

// `ortcpr verify PATH…`: runs reference cases (PyTorch's numbers, one's own or ours) against OrtCpr.
internal static class VerifyCommand
{
    private const int NoCase = 2;

    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true };

    public static IEnumerable<Command> Create()
    {
        Argument<string[]> paths =
            new("PATH")
            {
                Description = "Case files (.safetensors) and folders, which are searched recursively.",
                Arity = ArgumentArity.OneOrMore
            };
        Option<string> kind = new("--kind") { Description = $"Only cases of this kind: {string.Join(", ", CaseRunner.KnownKinds)}." };
        Option<string> filter = new("--filter") { Description = "Only cases whose name matches this glob (* and ?)." };
        Option<string> report = new("--report") { Description = "Write all results as JSON to this file." };
        Option<string> device =
            new("--device") { Description = "Where graphs run: cpu, cuda, cuda:N or webgpu:PATH.", DefaultValueFactory = _ => "cpu" };
        Option<string> kernels =
            new("--kernels") { Description = "on: fused kernels; off: the standard-operator bodies.", DefaultValueFactory = _ => "on" };
        kernels.AcceptOnlyFromAmong("on", "off");
        Option<string> keep = new("--keep") { Description = "Save the graphs that run to this folder, one folder a case." };
        Option<int> threads = new("--threads") { Description = "Threads a session; 0 for one a core.", DefaultValueFactory = _ => 0 };
        Option<double> limit = new("--timeout") { Description = "Seconds after which a case has failed.", DefaultValueFactory = _ => 120 };

        Option<bool> fallback =
            new("--allow-cpu-fallback") { Description = "Run what the device has no kernel for on the CPU, instead of failing the case." };

        Option<string> precision = PrecisionText.NewOption();

        DriverOptions Driver(ParseResult r) => new()
        {
            Device = r.GetValue(device)!,
            Kernels = r.GetValue(kernels) == "on",
            Threads = r.GetValue(threads),
            AllowCpuFallback = r.GetValue(fallback),
            KeepGraphs = r.GetValue(keep) is string folder ? Path.GetFullPath(folder) : null,
        };

        Command verify = new("verify",
            "Compares OrtCpr with reference cases: optimizer runs, gradients of operators and models, whole training runs.\n\nExamples:\n  "
            + "ortcpr verify cases --kernels off\n  ortcpr verify cases --kind op-gradient --filter \"conv*\" --device cuda --report "
            + "results.json") { paths, kind, filter, report, device, fallback, kernels, keep, threads, precision,
            limit };
        // Arguments of no option end up among the paths.
        paths.Validators.Add(result =>
        {
            string[] unknown = [.. result.Tokens.Select(t => t.Value)
                .Where(t => t.StartsWith('-') && !File.Exists(t) && !Directory.Exists(t))];
            if (unknown.Length > 0)
            {
                result.AddError($"Unknown option {string.Join(", ", unknown)}. Options of verify: "
                    + $"{string.Join(", ", verify.Options.Select(o => o.Name))}.");
            }
        });
        verify.SetAction(r =>
            Run(r.GetValue(paths)!, r.GetValue(kind), r.GetValue(filter), r.GetValue(report), Driver(r),
            PrecisionText.Read(r.GetValue(precision)!), TimeSpan.FromSeconds(r.GetValue(limit))));
        Command worker = new(Worker.Command) { device, fallback, kernels, keep, threads, precision };
        worker.Hidden = true;
        worker.SetAction(r => Worker.Serve(Driver(r), PrecisionText.Read(r.GetValue(precision)!)));
        return [verify, worker];
    }

    private static int Run(string[] paths, string? kind, string? filter, string? report, DriverOptions options,
        Precision precision, TimeSpan limit)
    {
        string[] missing = [.. paths.Where(p => !File.Exists(p) && !Directory.Exists(p))];
        if (missing.Length > 0)
        {
            Console.Error.WriteLine($"No such file or folder: {string.Join(", ", missing)}");
            return NoCase;
        }
        if (kind is not null && !CaseRunner.KnownKinds.Contains(kind))
        {
            Console.Error.WriteLine($"Kind '{kind}' is not known; known: {string.Join(", ", CaseRunner.KnownKinds)}");
            return NoCase;
        }
        options.Validate();
        string[] cases = [.. Find(paths, kind, filter)];
        var results = new List<CaseResult>();
        string[] arguments =
            ["--device", options.Device, "--kernels", options.Kernels ? "on" : "off", "--threads",
            options.Threads.ToString(System.Globalization.CultureInfo.InvariantCulture),
            "--precision", PrecisionText.Of(precision), .. options.AllowCpuFallback ? ["--allow-cpu-fallback"] : Array.Empty<string>(),
            .. options.KeepGraphs is null ? Array.Empty<string>() : ["--keep", options.KeepGraphs]];
        if (precision != Precision.Float32) Console.WriteLine(new CasePrecision(precision).Text);
        using var worker = new WorkerProcess(arguments, limit);
        foreach (string path in cases)
        {
            CaseResult result = worker.Run(path);
            results.Add(result);
            string message = result.Message is null ? "" : $"\n{result.Message}".Replace("\n", "\n        ", StringComparison.Ordinal);
            Console.WriteLine($"{(result.LeftOut ? "left out" : result.Passed ? "passed" : "FAILED")}  {result.Case}  "
                + $"({result.Kind}, {result.Compared} tensors, {result.Seconds:0.00} s){message}");
        }
        if (report is not null) File.WriteAllText(report, JsonSerializer.Serialize(results, Readable));
        if (cases.Length == 0)
        {
            Console.Error.WriteLine("No case was found: expected .safetensors files with the metadata key 'kind'. See the format in "
                + "docs/verify.md.");
        }
        int failed = results.Count(r => !r.Passed);
        int leftOut = results.Count(r => r.LeftOut);
        Console.WriteLine($"{results.Count - failed - leftOut} passed, {failed} failed{(leftOut > 0 ? $", {leftOut} left out" : "")}");
        return cases.Length == 0 ? NoCase : failed == 0 ? 0 : 1;
    }

    // Files named on the command line are cases whatever they hold; in folders only files that say their kind are.
    private static IEnumerable<string> Find(string[] paths, string? kind, string? filter)
    {
        foreach (string path in paths)
        {
            bool named = File.Exists(path);
            IEnumerable<string> files = named ? [Path.ChangeExtension(path, ".safetensors")]
                : Directory.EnumerateFiles(path, "*.safetensors", SearchOption.AllDirectories).Concat(ArtifactsWithoutRun(path))
                    .Order(StringComparer.Ordinal);
            foreach (string file in files)
            {
                if (filter is not null && !FileSystemName.MatchesSimpleExpression(filter, CaseRunner.NameOf(file), ignoreCase: false))
                {
                    continue;
                }
                string? found = KindOf(file);
                if ((found is null && !named) || (kind is not null && found != kind)) continue;
                yield return Path.GetFullPath(file);
            }
        }
    }

    private static IEnumerable<string> ArtifactsWithoutRun(string path) =>
        Directory.EnumerateFiles(path, CaseRunner.ArtifactsModel, SearchOption.AllDirectories)
        .Where(f => File.Exists(Path.Combine(Path.GetDirectoryName(f)!, "case.json"))
            && !File.Exists(Path.Combine(Path.GetDirectoryName(f)!, CaseRunner.ArtifactsRun)));

    // Files beside the cases that hold data, with nothing to compare. Any other unknown kind is a misspelt case, and fails.
    private static readonly string[] DataKinds = ["grokking-split"];

    // Null for safetensors files that are no cases. One that can't be read is a case, and fails.
    private static string? KindOf(string file)
    {
        if (Path.GetFileName(file) == CaseRunner.ArtifactsModel) return CaseRunner.ArtifactsKind;
        try
        {
            using SafetensorsFile data = SafetensorsFile.Read(file);
            string? kind = data.Metadata.GetValueOrDefault("kind");
            return kind is not null && DataKinds.Contains(kind) ? null : kind;
        }
        catch (OrtCprException)
        {
            return "";
        }
    }
}
