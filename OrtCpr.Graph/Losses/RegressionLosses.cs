using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Losses;

/// <summary>A loss of each element of an output against a target of the same type and shape.</summary>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public abstract record ElementLoss(Reduction Reduction) : Loss
{
    /// <summary>Name of the input with the targets, of the output's type and shape. Default <c>target</c>.</summary>
    public string TargetName { get; init; } = "target";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => [TargetName];

    internal override string LabelProperty => nameof(TargetName);

    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term output = Taken(context, context.FindFloating(Output));
        Term target = context.Label(TargetName, output.Type, output.Shape!);
        return Reduced(g, Each(g, output, target), target);
    }

    private protected virtual LossValue Reduced(GraphBuilder g, Term each, Term target) => LossValue.Of(g, each, Reduction, target);

    /// <summary>The tensor that the loss takes in place of the output.</summary>
    private protected virtual Term Taken(LossContext context, Term output) => output;

    private protected abstract Term Each(GraphBuilder g, Term output, Term target);

    internal override IEnumerable<string> Problems() => Empty(nameof(TargetName), TargetName);
}

/// <summary>Squared error (PyTorch <c>MSELoss</c>).</summary>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record MseLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    private protected override Term Each(GraphBuilder g, Term output, Term target)
    {
        Term error = output - target;
        return error * error;
    }
}

/// <summary>Absolute error, with gradient 0 where it is 0 (PyTorch <c>L1Loss</c>).</summary>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record L1Loss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    private protected override Term Each(GraphBuilder g, Term output, Term target) => g.Abs(output - target);
}

/// <summary>½e² where |e| ≤ δ, else δ·(|e| − ½δ) (PyTorch <c>HuberLoss</c>).</summary>
/// <param name="Delta">δ, above 0. Default 1.</param>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record HuberLoss(double Delta = 1, Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    /// <summary>With a = min(|e|, δ) both cases are a·(|e| − ½a).</summary>
    private protected override Term Each(GraphBuilder g, Term output, Term target)
    {
        Term size = g.Abs(output - target), bounded = g.Min(size, Delta);
        return bounded * (size - bounded * 0.5);
    }

    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. NotPositive(nameof(Delta), Delta)];
}

/// <summary>Binary cross-entropy of probabilities from logits, in the form that neither overflows nor cancels (PyTorch
/// <c>BCEWithLogitsLoss</c>).</summary>
/// <remarks>Where the output is a Sigmoid of the model, the loss takes the tensor in front of it, with a warning; a loss of the
/// probabilities is <see cref="BceLoss"/>.
/// (1 − y)·x + (1 + (w − 1)·y)·(log(1 + exp(−|x|)) + max(−x, 0)), w being <see cref="PositiveWeight"/>.</remarks>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record BceWithLogitsLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    /// <summary>Weight of the positive class, above 0. Default 1.</summary>
    public double PositiveWeight { get; init; } = 1;

    private protected override Term Taken(LossContext context, Term output) => Activations.InFrontOf(context, output, this);

    private protected override Term Each(GraphBuilder g, Term output, Term target)
    {
        Term negative = -output;
        Term softplus = g.Log(g.Exp(-g.Abs(output)) + 1) + g.Max(negative, 0);
        if (PositiveWeight != 1) softplus = softplus * (target * (PositiveWeight - 1) + 1);
        return (1 - target) * output + softplus;
    }

    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. NotPositive(nameof(PositiveWeight), PositiveWeight)];
}

/// <summary>Binary cross-entropy of probabilities (PyTorch <c>BCELoss</c>): −y·log p − (1 − y)·log(1 − p), each logarithm at least −100,
/// with gradient 0 below.</summary>
/// <remarks>From logits <see cref="BceWithLogitsLoss"/> is more exact.</remarks>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record BceLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    private protected override Term Each(GraphBuilder g, Term output, Term target) =>
        -(target * ClassIndices.LogarithmOf(g, output) + (1 - target) * ClassIndices.LogarithmOf(g, 1 - output));
}
