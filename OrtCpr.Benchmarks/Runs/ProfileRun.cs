using System.Text;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Benchmarks;

/// <summary>Our side of a benchmark under ONNX Runtime's profiler.</summary>
internal static class ProfileRun
{
    private const int Warmup = 3;
    private const int Steps = 20;

    /// <summary>Where the time of a step goes.</summary>
    /// <exception cref="BenchmarkException">The benchmark has no training step to profile.</exception>
    public static string Of(string benchmark, BenchmarkOptions options)
    {
        string folder = Directory.CreateTempSubdirectory("ortcpr-profile-").FullName;
        int steps = options.Quick ? 2 : Steps;
        try
        {
            switch (benchmark)
            {
                case "grokking":
                    using (var side =
                        new OurGrokking(Path.Combine(options.Models, "grokking.onnx"), GrokkingTask.DrawWeights(), GrokkingTask.Batches(),
                            options.Threads, folder))
                    {
                        side.TrainSteps(Warmup + steps);
                    }

                    break;
                case "overhead":
                    Train(new GptTask(rule: OurSides.AdamCpr(positiveMultipliers: true, GptTask.LearningRate)), options, folder, steps);
                    break;
                case "finetune":
                    return FineTune(options, folder, steps);
                default:
                    Train(TrainingTask.All.FirstOrDefault(t => t.Name == benchmark)
                        ?? throw new BenchmarkException($"'{benchmark}' has no training step to profile."), options, folder, steps);
                    break;
            }
            return NodeProfile.Summarize(folder, Warmup, steps);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Train(TrainingTask task, BenchmarkOptions options, string folder, int steps)
    {
        if (!task.TryFind(options, out string model, out string missing))
            throw new BenchmarkException($"{missing}.");
        Train(model, task, options, folder, steps);
    }

    private static void Train(string model, TrainingTask task, BenchmarkOptions options, string folder, int steps)
    {
        using OurTraining side = new(model, task, options.Threads, folder);
        for (int i = 0; i < Warmup + steps; i++)
            side.Step();
    }

    private static string FineTune(BenchmarkOptions options, string folder, int steps)
    {
        var text = new StringBuilder();
        foreach ((string name, Func<UpdateRule, FineTuneTask> make) in FineTuneBenchmark.Jobs(options.Quick))
        {
            string own = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
            FineTuneTask job = make(FineTuneTask.Rules[^1].Rule);
            string model = Path.Combine(folder, job.ModelFile);
            File.WriteAllBytes(model, job.Model);
            Train(model, job, options, own, steps);
            text.AppendLine($"{name}: {job.Title}").AppendLine(NodeProfile.Summarize(own, Warmup, steps)).AppendLine();
        }
        return text.ToString().TrimEnd();
    }
}
