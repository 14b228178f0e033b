namespace OrtCpr.Benchmarks.Sides;

/// <summary>A side of <c>optimizer</c>: one call is one optimizer step over all parameters.</summary>
internal interface IStepper : IDisposable
{
    void Step();
}

/// <summary>Token triples and what follows them.</summary>
/// <param name="Tokens">[Size, 3], row by row.</param>
/// <param name="Targets">[Size].</param>
internal sealed record TokenBatch(long[] Tokens, long[] Targets)
{
    public int Size => Targets.Length;
}

/// <summary>A side of <c>grokking</c>, made from weights and batches.</summary>
internal interface ITrainer : IDisposable
{
    /// <summary>So many training steps, one batch each, the batches in turn.</summary>
    void TrainSteps(int count);

    /// <summary>Mean cross-entropy of a batch, without a step.</summary>
    double Loss(TokenBatch batch);
}

/// <summary>A side that trains on one fixed batch.</summary>
internal interface ITrainingSide : IDisposable
{
    /// <summary>Forward, backward and optimizer.</summary>
    /// <returns>The loss of the batch before the optimizer's part.</returns>
    double Step();
}
