using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph;

namespace OrtCpr.Benchmarks;

/// <summary>What a process of its own can be asked to measure.</summary>
internal static class Children
{
    private static readonly IReadOnlyDictionary<string, Action<BenchmarkOptions>> All = TrainingTask.All
        .SelectMany(task => new (string Name, Action<BenchmarkOptions> Run)[]
        {
            (MemoryChild.NameOf(task, ours: true), options => MemoryChild.Ours(task, options)),
            (MemoryChild.NameOf(task, ours: true, recompute: true), options => MemoryChild.Ours(task, options, recompute: true)),
            (MemoryChild.NameOf(task, ours: false), options => MemoryChild.Peer(task, options)),
        })
        .Concat(FineTuneBenchmark.Jobs(quick: false).SelectMany(job => FineTuneChild.Sides.Select(side => (
            Name: FineTuneChild.NameOf(job.Goal, side),
            Run: (Action<BenchmarkOptions>)(options => FineTuneChild.Run(FineTuneBenchmark.Job(job.Goal, options.Quick), side, options))))))
        .Append((ColdChild.Name, ColdChild.Run))
        .ToDictionary(c => c.Name, c => c.Run, StringComparer.Ordinal);

    /// <summary>Runs one; its figures go to the standard output.</summary>
    /// <returns>Exit code.</returns>
    public static int Run(IReadOnlyList<string> arguments)
    {
        try
        {
            var options = BenchmarkOptions.Parse(arguments, [.. All.Keys]);
            All[options.Names[0]](options);
            return 0;
        }
        catch (Exception error) when (error is BenchmarkException or OrtCprException or ArgumentException)
        {
            Console.Error.WriteLine(error.Message);
            return 1;
        }
    }
}
