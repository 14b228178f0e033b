using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Next-token training of a small GPT2 with drawn weights, on one batch of random tokens; every matrix is constrained.</summary>
internal sealed class OurTrainingStep : IDisposable
{
    private const double LearningRate = 1e-4;
    private const int Vocabulary = 8192;

    private readonly TrainingDriver _driver;
    private readonly Batch _batch;

    /// <param name="model">ONNX file with input <c>input_ids</c> [batch, sequence] and one output of logits.</param>
    /// <param name="constrained">AdamCPR with λ > 0 on every matrix; otherwise AdamW with decay of every matrix.</param>
    /// <param name="size">Batch size.</param>
    /// <param name="sequence">Tokens in a row.</param>
    /// <param name="threads">Threads of the sessions.</param>
    /// <param name="profiles">Folder for profiles of the sessions; null for none.</param>
    public OurTrainingStep(string model, bool constrained, int size, int sequence, int threads, string? profiles = null)
    {
        UpdateRule rule = constrained ? OurSides.AdamCpr(positiveMultipliers: true, LearningRate) : UpdateRule.AdamW(LearningRate, weightDecay: 0.1);
        _driver = TrainingDriver.Create(
            model,
            new TrainingOptions { Optimizer = new OptimizerOptions { Groups = [rule] }, Parameters = new ParameterOptions { RegularizeEmbeddings = true } },
            new DriverOptions { Threads = threads, Profiles = profiles });
        var random = new Random(3);
        long[] tokens = [.. Enumerable.Range(0, size * (sequence + 1)).Select(_ => (long)random.Next(Vocabulary))];
        _batch = new Batch()
            .Add("input_ids", tokens[..(size * sequence)], size, sequence)
            .Add("labels", tokens[size..], size, sequence);
    }

    /// <summary>Forward, backward and optimizer.</summary>
    public void Step()
    {
        _driver.LazyResetGrad();
        _driver.TrainStep(_batch);
        _driver.OptimizerStep();
    }

    /// <summary>The optimizer's run alone, on the gradients that are there.</summary>
    public void OptimizerRun() => _driver.OptimizerStep();

    /// <summary>Looks whether λ is above 0 for every matrix.</summary>
    public void CheckMultipliers() => OurSides.CheckMultipliers(_driver.Optimizer, positive: true);

    public void Dispose()
    {
        _batch.Dispose();
        _driver.Dispose();
    }
}
