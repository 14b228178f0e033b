using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;

namespace OrtCpr.Benchmarks;

/// <summary>Our side of a benchmark under ONNX Runtime's profiler.</summary>
internal static class ProfileRun
{
    private const int Steps = 20;

    /// <summary>Where the time of a step goes.</summary>
    /// <exception cref="BenchmarkException">The benchmark has no training step to profile.</exception>
    public static string Of(string benchmark, BenchmarkOptions options)
    {
        string folder = Directory.CreateTempSubdirectory("ortcpr-profile-").FullName;
        try
        {
            switch (benchmark)
            {
                case "grokking":
                    using (var side = new OurGrokking(Path.Combine(options.Models, "grokking.onnx"), GrokkingTask.DrawWeights(), GrokkingTask.Batches(), options.Threads, folder)) side.TrainSteps(Steps);
                    break;
                case "overhead":
                    using (var side = new OurTrainingStep(Path.Combine(options.Models, "gpt2_5m.onnx"), constrained: true, 8, 128, options.Threads, folder))
                    {
                        for (int i = 0; i < Steps; i++) side.Step();
                    }
                    break;
                default:
                    throw new BenchmarkException($"'{benchmark}' has no training step to profile.");
            }
            return NodeProfile.Summarize(folder, Steps);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
