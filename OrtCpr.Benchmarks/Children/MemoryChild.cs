using Microsoft.ML.OnnxRuntime;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Benchmarks.Sides;
using TorchSharp;

namespace OrtCpr.Benchmarks;

/// <summary>One side of <c>memory</c>, alone in its process.</summary>
internal static class MemoryChild
{
    /// <summary>Peak with the runtime loaded and nothing else done, bytes.</summary>
    public const string Baseline = "baseline";

    /// <summary>Peak from the start to the last step, bytes.</summary>
    public const string Peak = "peak";

    /// <summary>Peak of steps alone, after what the start left behind has been collected, bytes; absent where it cannot be told.</summary>
    public const string Steps = "steps";

    /// <summary>Bytes that stay from step to step: parameters, gradients, moments and the rest.</summary>
    public const string State = "state";

    private const int StepCount = 3;

    public static string NameOf(TrainingTask task, bool ours, bool recompute = false) =>
        $"memory-{task.Name}-{(!ours ? "torch" : recompute ? "recomputed" : "ours")}";

    public static void Ours(TrainingTask task, BenchmarkOptions options, bool recompute = false)
    {
        OrtEnv.Instance();
        ChildProcess.Report(Baseline, ResidentMemory.Peak());
        task.TryFind(options, out string model, out _);
        using OurTraining side = new(model, task, options.Threads, recompute: recompute);
        Measure(side);
        ChildProcess.Report(State, side.StateBytes);
    }

    public static void Peer(TrainingTask task, BenchmarkOptions options)
    {
        if (TorchLoader.TryStart(options.Threads) is string problem)
            throw new BenchmarkException(problem);
        LoadPeer();
        ChildProcess.Report(Baseline, ResidentMemory.Peak());
        using TorchTraining side = task.NewPeer(TorchTraining.Draw(task.Parameters));
        Measure(side);
        // Parameter, gradient and two moments.
        ChildProcess.Report(State, 4 * sizeof(float) * Gpt2Shapes.Count(task.Parameters));
    }

    /// <summary>libtorch is not there before the first tensor.</summary>
    private static void LoadPeer()
    {
        using torch.Tensor first = torch.zeros(1);
    }

    /// <summary>Reports the peak of some steps from the start, and of some more without what the start left behind.</summary>
    public static void Measure(ITrainingSide side)
    {
        Repeat(side);
        ChildProcess.Report(Peak, ResidentMemory.Peak());
        if (!ResidentMemory.Forget())
            return;
        Repeat(side);
        ChildProcess.Report(Steps, ResidentMemory.Peak());
    }

    private static void Repeat(ITrainingSide side)
    {
        for (int i = 0; i < StepCount; i++)
            side.Step();
    }
}
