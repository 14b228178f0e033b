using Microsoft.ML.OnnxRuntime;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Benchmarks;

/// <summary>Memory of one side of a job of <c>finetune</c>, alone in its process. The model is in the folder of models.</summary>
internal static class FineTuneChild
{
    public const string Forward = "forward", Torch = "torch";

    /// <summary>Sides of a job: each optimizer of ours, the peer, and of a head alone the forward pass.</summary>
    public static IReadOnlyList<string> Sides => [.. FineTuneTask.Rules.Select(r => r.Name), Torch, Forward];

    public static string NameOf(string job, string side) => $"finetune-{job}-{side}";

    public static void Run(Func<UpdateRule, FineTuneTask> make, string side, BenchmarkOptions options)
    {
        UpdateRule? rule = FineTuneTask.Rules.Where(r => r.Name == side).Select(r => r.Rule).FirstOrDefault();
        FineTuneTask job = make(rule ?? FineTuneTask.Rules[0].Rule);
        string model = Path.Combine(options.Models, job.ModelFile);
        if (side == Torch && TorchLoader.TryStart(options.Threads) is string problem)
            throw new BenchmarkException(problem);
        if (side != Torch) OrtEnv.Instance();
        using ITrainingSide measured = side switch
        {
            Torch => job.NewPeer(),
            Forward => new ForwardPass(model, job, options.Threads),
            _ => new OurTraining(model, job, options.Threads),
        };
        MemoryChild.Measure(measured);
    }
}
