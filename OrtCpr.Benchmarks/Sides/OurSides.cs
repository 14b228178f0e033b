namespace OrtCpr.Benchmarks.Sides;

/// <summary>Which of our optimizer steps is made.</summary>
/// <param name="Guard">Non-finite guard.</param>
/// <param name="PositiveMultipliers">λ > 0 for every matrix, kept so during the measurement; otherwise λ = 0 for all.</param>
internal readonly record struct OptimizerVariant(bool Guard, bool PositiveMultipliers);

/// <summary>Which optimizer a side of <c>overhead</c> has.</summary>
internal enum OverheadOptimizer
{
    /// <summary>AdamW, weight decay on every matrix.</summary>
    AdamW,

    /// <summary>AdamCPR with λ > 0 on every matrix, kept so during the measurement.</summary>
    AdamCpr,
}

/// <summary>REGISTRATION POINT of our side: each property makes one side of one benchmark, and is null as long as there is nothing to make it from. The
/// benchmarks then measure the peers alone and say so.</summary>
internal static class OurSides
{
    /// <summary><c>optimizer</c>: AdamCPR (squared norm, kernels on) over tensors of these names and shapes with fixed random gradients.
    /// Arguments: tensors, variant, threads.</summary>
    public static Func<IReadOnlyList<(string Name, long[] Dimensions)>, OptimizerVariant, int, IStepper>? Optimizer => null;

    /// <summary><c>grokking</c>: AdamCPR on the ONNX model. Arguments: model file, weights by initializer, batches used in turn, threads.</summary>
    public static Func<string, IReadOnlyDictionary<string, (float[] Data, long[] Dimensions)>, IReadOnlyList<TokenBatch>, int, ITrainer>? Grokking => null;

    /// <summary><c>overhead</c>: next-token training of an ONNX language model with drawn weights. Arguments: model file, optimizer, batch, sequence, threads.</summary>
    public static Func<string, OverheadOptimizer, int, int, int, ITrainingStep>? Overhead => null;
}
