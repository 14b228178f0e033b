using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>The grokking transformer by <see cref="TrainingDriver"/> with AdamCPR: squared norm, κ = 0.8·R(θ₀),
/// embeddings constrained.</summary>
internal sealed class OurGrokking : ITrainer
{
    private readonly TrainingDriver _driver;
    private readonly IReadOnlyList<Batch> _batches;
    private int _next;

    public OurGrokking(string model, IReadOnlyDictionary<string, (float[] Data, long[] Dimensions)> weights,
        IReadOnlyList<TokenBatch> batches, int threads, string? profiles = null)
    {
        var rule = UpdateRule.AdamCpr(
            learningRate: 1e-3,
            adam: new ScaleByAdam { Beta1 = 0.9, Beta2 = 0.98 },
            constraint: new ConstrainNorm { Bound = Bound.TimesInitial(0.8) });
        _driver = TrainingDriver.Create(
            model,
            new TrainingOptions
            { Optimizer = new OptimizerOptions { Groups = [rule] }, Parameters = new ParameterOptions { RegularizeEmbeddings = true } },
            new DriverOptions { Threads = threads, Profiles = profiles });
        foreach ((string name, (float[] data, long[] dimensions)) in weights)
            _driver.UpdateParameter(name, TensorData.From<float>(data, dimensions));
        _batches = [.. batches.Select(ToBatch)];
    }

    public void TrainSteps(int count)
    {
        for (int i = 0; i < count; i++)
        {
            _driver.LazyResetGrad();
            _driver.TrainStep(_batches[_next]);
            _driver.OptimizerStep();
            _next = (_next + 1) % _batches.Count;
        }
    }

    public double Loss(TokenBatch batch)
    {
        using Batch tensors = ToBatch(batch);
        using Evaluation evaluation = _driver.EvalStep(tensors);
        return evaluation.Loss;
    }

    public void Dispose()
    {
        foreach (Batch batch in _batches)
            batch.Dispose();
        _driver.Dispose();
    }

    private static Batch ToBatch(TokenBatch batch) =>
        new Batch().Add("tokens", batch.Tokens, batch.Size, batch.Tokens.Length / batch.Size).Add("labels", batch.Targets, batch.Size);
}
