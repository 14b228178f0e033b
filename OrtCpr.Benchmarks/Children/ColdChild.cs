using System.Diagnostics;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Benchmarks;

/// <summary>From a model file to the first finished step in a process that has just started, in seconds by stage.</summary>
internal static class ColdChild
{
    public const string Name = "cold-start";

    /// <summary>Weights by the rules of the file. Stands for reading them, and is not counted.</summary>
    public const string Draw = "draw";

    /// <summary>Reading the file and building all graphs.</summary>
    public const string Build = "build";

    /// <summary>ONNX Runtime's own time for making the sessions.</summary>
    public const string Sessions = "sessions";

    /// <summary>The driver as a whole: buffers, weights into them, sessions.</summary>
    public const string Driver = "driver";

    /// <summary>Forward, backward and optimizer, the first time.</summary>
    public const string Step = "step";

    private const int Rows = 1;
    private const int Sequence = 128;

    /// <summary>As small as the smaller of the two vocabularies, so that the tokens fit both models.</summary>
    private const int Vocabulary = 8192;

    public static string FileOf(BenchmarkOptions options) => options.Quick ? "gpt2_5m.onnx" : "gpt2_small.onnx";

    public static void Run(BenchmarkOptions options)
    {
        string profiles = Directory.CreateTempSubdirectory("ortcpr-cold-").FullName;
        try
        {
            var task = new GptTask();
            (long[] tokens, long[] targets) = RandomTokens.Draw(Rows, Sequence, Vocabulary);
            using Batch batch = RandomTokens.ToBatch(tokens, targets, Rows);
            (ModelFile file, double load) = Timed(() => ModelFile.Load(Path.Combine(options.Models, FileOf(options))));
            (IReadOnlyDictionary<string, TensorData> weights, double draw) =
                Timed(() => WeightInitialization.Draw(file, task.Options.Seed));
            ChildProcess.Report(Draw, draw);
            (TrainingPlan graphs, double build) = Timed(() => TrainingGraphBuilder.Build(file, task.Options, weights));
            ChildProcess.Report(Build, load + build);
            (TrainingDriver driver, double create) =
                Timed(() => new TrainingDriver(graphs, new DriverOptions { Threads = options.Threads, Profiles = profiles }));
            ChildProcess.Report(Driver, create);
            using (driver)
            {
                (double loss, double step) = Timed(() => FirstStep(driver, batch));
                if (!double.IsFinite(loss))
                    throw new BenchmarkException($"The loss of the first step is {loss}.");
                ChildProcess.Report(Step, step);
            }
            ChildProcess.Report(Sessions, NodeProfile.SessionSeconds(profiles));
        }
        finally
        {
            Directory.Delete(profiles, recursive: true);
        }
    }

    private static double FirstStep(TrainingDriver driver, Batch batch)
    {
        driver.LazyResetGrad();
        double loss = driver.TrainStep(batch);
        driver.OptimizerStep();
        return loss;
    }

    private static (T Result, double Seconds) Timed<T>(Func<T> work)
    {
        long start = Stopwatch.GetTimestamp();
        T result = work();
        return (result, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }
}
