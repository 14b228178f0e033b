namespace OrtCpr.Benchmarks.Harness;

/// <summary>One entry of the command line: measures and fills a report.</summary>
internal interface IBenchmark
{
    /// <summary>Name on the command line and of the section in the report file.</summary>
    string Name { get; }

    /// <summary>What is measured, one line.</summary>
    string Title { get; }

    /// <exception cref="BenchmarkException">It cannot be measured fairly, e.g. the two sides disagree about the loss.</exception>
    void Run(BenchmarkOptions options, Report report);
}

/// <summary>The measurement would not be what it says.</summary>
internal sealed class BenchmarkException(string message) : Exception(message);
