using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Graph;
using OrtCpr.Graph.Parameters;
using TorchSharp;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>A job that both sides train: forward, backward and optimizer on one fixed batch.</summary>
internal abstract class TrainingTask
{
    /// <summary>Name of the benchmark.</summary>
    public abstract string Name { get; }

    /// <summary>What is trained, one line.</summary>
    public abstract string Title { get; }

    /// <summary>File in the folder of models.</summary>
    public abstract string ModelFile { get; }

    /// <summary>How much faster than the peer we have to be on this machine.</summary>
    public abstract double Goal { get; }

    /// <summary>Steps in a timed run: a step is short against the time slices of other work on the machine.</summary>
    public abstract int StepsARun { get; }

    /// <summary>The trained parameters, as the model file names them.</summary>
    public abstract IReadOnlyList<(string Name, long[] Dimensions)> Parameters { get; }

    /// <summary>What our side builds.</summary>
    public abstract TrainingOptions Options { get; }

    /// <summary>The nodes whose results a run with recomputation does not keep; null where the task has no such run.</summary>
    public virtual NamePattern? Blocks => null;

    /// <summary>Our side's batch; the caller's.</summary>
    public abstract Batch NewBatch();

    /// <summary>The same job in TorchSharp.</summary>
    /// <param name="weights">Values of <see cref="Parameters"/>, taken over.</param>
    public abstract TorchTraining NewPeer(IEnumerable<(string Name, torch.Tensor Value)> weights);

    /// <summary>The tasks that are measured as whole training steps.</summary>
    public static IReadOnlyList<TrainingTask> All => [new GptTask(), new ResNetTask()];

    /// <summary>The model's path, or why there is none.</summary>
    public bool TryFind(BenchmarkOptions options, out string path, out string missing)
    {
        path = Path.Combine(options.Models, ModelFile);
        missing = $"{ModelFile} is not there; name its folder with --models";
        return File.Exists(path);
    }
}
