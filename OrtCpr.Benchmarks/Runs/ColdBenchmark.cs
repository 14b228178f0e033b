using System.Globalization;
using OrtCpr.Benchmarks.Harness;

namespace OrtCpr.Benchmarks;

/// <summary>How long it takes from the file of a GPT2 of 124 M parameters to the first finished step, in a process that
/// has just started.</summary>
internal sealed class ColdBenchmark : IBenchmark
{
    private const string Goal = "graph_building";
    private const double Bound = 2;

    private static readonly (string Figure, string Row)[] Stages =
    [
        (ColdChild.Build, "reading the graph, building all graphs"),
        (ColdChild.Driver, "driver: buffers, weights into them, sessions"),
        (ColdChild.Sessions, "of which ONNX Runtime's making of the sessions"),
        (ColdChild.Step, "first step, batch 1 × 128"),
        (ColdChild.Draw, "not counted: drawing the weights"),
    ];

    public string Name => "cold";

    public string Title => "from the file of GPT2-small (124.4 M parameters) to the first finished step, each run in a process of its own";

    public void Run(BenchmarkOptions options, Report report)
    {
        string model = ColdChild.FileOf(options);
        if (!File.Exists(Path.Combine(options.Models, model)))
        {
            report.NotMeasured(Goal, $"{model} is not there; name its folder with --models");
            return;
        }
        string[] arguments = [.. options.ToArguments(ColdChild.Name)];
        IReadOnlyDictionary<string, double>[] runs = [.. Enumerable.Range(0, options.Quick ? 2 : options.Runs)
            .Select(_ => ChildProcess.Run(arguments))];
        report.Columns("stage");
        Timing Of(string row, Func<IReadOnlyDictionary<string, double>, double> figure) => new(row, [.. runs.Select(figure).Order()]);
        foreach ((string figure, string row) in Stages)
            report.Row(Of(row, r => r[figure]));
        report.Row(Of("file → first finished step", r => r[ColdChild.Build] + r[ColdChild.Driver] + r[ColdChild.Step]));
        report.Remark(
            string.Create(CultureInfo.InvariantCulture,
                $"{model}. The goal is in seconds, just-in-time compilation of our code included."));
        report.AtMost(Goal, Of(Goal, r => r[ColdChild.Build]).Median, Bound);
    }
}
