using OrtCpr.Benchmarks.Harness;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>TorchSharp where its time is compared: as fast as its user can make it.</summary>
internal static class TimedPeer
{
    /// <summary>Loads TorchSharp, sets its threads and lets it keep memory; says so in the report.</summary>
    /// <returns>Null when it is ready; otherwise what is missing, for people.</returns>
    public static string? TryStart(BenchmarkOptions options, Report report)
    {
        if (TorchLoader.TryStart(options.Threads) is string problem)
        {
            Console.WriteLine($"TorchSharp is left out: {problem}");
            return problem;
        }
        if (Allocator.KeepFreed())
            report.Remark("The C library is told to keep freed memory, without which libtorch spends part of its time on new pages.");
        return null;
    }
}
