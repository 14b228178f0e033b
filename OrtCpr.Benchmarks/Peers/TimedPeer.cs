using OrtCpr.Benchmarks.Harness;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>TorchSharp where its time is compared.</summary>
internal static class TimedPeer
{
    /// <summary>Loads TorchSharp, sets its threads and, if asked for, lets it keep memory; says so in the report.</summary>
    /// <returns>Null when it is ready; otherwise what is missing, for people.</returns>
    public static string? TryStart(BenchmarkOptions options, Report report)
    {
        if (TorchLoader.TryStart(options.Threads) is string problem)
        {
            Console.WriteLine($"TorchSharp is left out: {problem}");
            return problem;
        }
        if (options.KeepMemory && Allocator.KeepFreed())
            report.Remark("The C library is told to keep the memory that libtorch frees.");
        return null;
    }
}
