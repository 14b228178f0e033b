using System.Diagnostics;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>One thing to be timed.</summary>
/// <param name="Name">Row of the table.</param>
/// <param name="Run">One run.</param>
internal sealed record Side(string Name, Action Run);

/// <summary>The times of one side.</summary>
/// <param name="Name">Row of the table.</param>
/// <param name="Seconds">Of each run, ascending.</param>
internal sealed record Timing(string Name, IReadOnlyList<double> Seconds)
{
    public double Median => Seconds.Count % 2 == 1
        ? Seconds[Seconds.Count / 2]
        : (Seconds[Seconds.Count / 2 - 1] + Seconds[Seconds.Count / 2]) / 2;

    public double Fastest => Seconds[0];

    public double Slowest => Seconds[^1];
}

/// <summary>Times several sides in one process, run by run in turn, so that what the machine does meanwhile meets all
/// of them alike.</summary>
internal static class Alternation
{
    /// <summary>Idle worker threads of one side spin for a moment before they sleep (OpenMP, ONNX Runtime); they must
    /// not do so in the time of the next side.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(30);

    /// <summary>Runs every side <paramref name="warmup"/> times untimed, then <paramref name="runs"/> times timed, in turn.</summary>
    /// <returns>By the names of the sides.</returns>
    public static IReadOnlyDictionary<string, Timing> Measure(IReadOnlyList<Side> sides, int runs, int warmup = 2)
    {
        for (int i = 0; i < warmup; i++)
        {
            foreach (Side side in sides)
                side.Run();
        }
        Dictionary<string, List<double>> seconds = sides.ToDictionary(s => s.Name, _ => new List<double>(runs), StringComparer.Ordinal);
        for (int i = 0; i < runs; i++)
        {
            // Every other round goes backwards: no side always follows the same neighbour.
            foreach (Side side in i % 2 == 0 ? sides : sides.Reverse())
            {
                GC.Collect();
                Thread.Sleep(Pause);
                long start = Stopwatch.GetTimestamp();
                side.Run();
                seconds[side.Name].Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
        }
        return seconds.ToDictionary(s => s.Key, s => new Timing(s.Key, [.. s.Value.Order()]), StringComparer.Ordinal);
    }
}
