using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Losses;

/// <summary>Cross-entropy of logits with a probability for each class: −Σ y·log softmax(x) over the classes (PyTorch
/// <c>CrossEntropyLoss</c> with probabilities as targets).</summary>
/// <remarks>Logits and targets [B,C] or [B,C,…], classes on axis 1. For labels that are mixed (mixup, cutmix), smoothed, or from another
/// model. Where the output is a Softmax, LogSoftmax or Sigmoid of the model, the loss takes the tensor in front of it.</remarks>
/// <param name="Reduction">Mean over the rows, that is all places but the classes (default), or sum.</param>
public sealed record SoftCrossEntropyLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    private protected override Term Taken(LossContext context, Term output)
    {
        if (output.Shape!.Rank < 2)
        {
            throw new OptionException(
                $"{Kind} takes output '{output.Name}' of shape {output.Shape}; expected rank 2 or more ([batch, classes]).");
        }
        context.Part.TakesProbabilities = true;
        return Activations.InFrontOf(context, output, this, 1);
    }

    private protected override Term Each(GraphBuilder g, Term output, Term target) => -(target * g.LogSoftmax(output, 1));

    private protected override LossValue Reduced(GraphBuilder g, Term each, Term target)
    {
        if (Reduction == Reduction.Sum) return base.Reduced(g, each, target);
        Term rows = g.Cast(g.SizeOf(target), each.Type) / g.Cast(g.Squeeze(g.DimOf(target, 1), 0), each.Type);
        return new(g.ReduceSum(each, false) / rows, LossDivisor.Elements, rows);
    }
}

/// <summary>Kullback-Leibler divergence of log-probabilities from target probabilities: y·(log y − x), 0 where y is 0 (PyTorch
/// <c>KLDivLoss</c>).</summary>
/// <remarks>Where the output is a Softmax of the model, its logarithm is taken (at least −100).</remarks>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record KlDivergenceLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    /// <summary>Whether the targets are logarithms of probabilities too. Default off.</summary>
    public bool LogTarget { get; init; }

    /// <summary>Whether the mean divides by the first dimension alone, which makes it a divergence (PyTorch <c>batchmean</c>). Default
    /// off.</summary>
    public bool BatchMean { get; init; }

    private protected override Term Taken(LossContext context, Term output)
    {
        context.Part.TakesProbabilities = !LogTarget;
        return Activations.Of(output)?.Gives == Activation.Probabilities ? ClassIndices.LogarithmOf(context.G, output) : output;
    }

    private protected override Term Each(GraphBuilder g, Term output, Term target)
    {
        if (LogTarget) return g.Exp(target) * (target - output);
        Term isPositive = target > g.Scalar(0, target.Type);
        return g.Where(isPositive, target * (g.Log(g.Where(isPositive, target, 1)) - output), 0);
    }

    private protected override LossValue Reduced(GraphBuilder g, Term each, Term target)
    {
        if (!BatchMean || Reduction == Reduction.Sum) return base.Reduced(g, each, target);
        Term batch = g.Cast(g.Squeeze(g.DimOf(target, 0), 0), each.Type);
        return new(g.ReduceSum(each, false) / batch, LossDivisor.Elements, batch);
    }

    internal override IEnumerable<string> Problems() => [.. base.Problems(),
        .. BatchMean && Reduction == Reduction.Sum ? [$"{nameof(BatchMean)} is on, but {nameof(Reduction)} is a sum"]
            : Array.Empty<string>()];
}

/// <summary>Negative log-likelihood of targets under a normal distribution with a mean and a variance: ½·(log v + (x − y)²/v), v being the
/// variance, at least <see cref="Epsilon"/> (PyTorch <c>GaussianNLLLoss</c>).</summary>
/// <remarks>The output is the mean. Below <see cref="Epsilon"/> the variance gets no gradient.</remarks>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record GaussianNllLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    /// <summary>The output, or other tensor of the model, with the variance: of the mean's shape, or with 1 for axes that share it. Null
    /// (default) for a batch input <see cref="VarianceName"/> of the mean's shape.</summary>
    public string? VarianceOutput { get; init; }

    /// <summary>Name of the batch input with the variances where the model gives none. Default <c>variance</c>.</summary>
    public string VarianceName { get; init; } = "variance";

    /// <summary>Adds the constant ½·log 2π. Default off.</summary>
    public bool Full { get; init; }

    /// <summary>The smallest variance, above 0. Default 1e-6.</summary>
    public double Epsilon { get; init; } = 1e-6;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => VarianceOutput is null ? [TargetName, VarianceName] : [TargetName];

    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term mean = context.FindFloating(Output), target = context.Label(TargetName, mean.Type, mean.Shape!);
        Term given = VarianceOutput is null ? context.Label(VarianceName, mean.Type, mean.Shape!) : context.FindFloating(VarianceOutput);
        Term variance = g.Max(given, Epsilon), error = mean - target;
        Term each = (g.Log(variance) + error * error / variance) * 0.5;
        if (Full) each += 0.5 * Math.Log(2 * Math.PI);
        return LossValue.Of(g, each, Reduction, target);
    }

    private protected override Term Each(GraphBuilder g, Term output, Term target) => output;

    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. Empty(nameof(VarianceName), VarianceName), .. NotPositive(nameof(Epsilon), Epsilon)];
}

/// <summary>Soft Dice: 1 − (2·Σ p·y + s)/(Σ p + Σ y + s), over the places of each example and class (MONAI <c>DiceLoss</c>).</summary>
/// <remarks>Output [B,C,…] and targets of that shape in [0, 1]: sums run over the axes behind the classes; of [B,N] over N.</remarks>
/// <param name="Reduction">Mean over examples and classes (default) or sum.</param>
public sealed record DiceLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    /// <summary>s, at least 0. Default 1e-5.</summary>
    public double Smooth { get; init; } = 1e-5;

    /// <summary>Whether the output holds logits, whose Sigmoid is taken. Default off: it holds probabilities.</summary>
    public bool FromLogits { get; init; }

    internal override LossValue Attach(LossContext context)
    {
        Term output = context.FindFloating(Output);
        return output.Shape!.Rank >= 2 ? base.Attach(context) : throw new OptionException(
            $"{Kind} takes output '{output.Name}' of shape {output.Shape}; expected rank 2 or more ([batch, places] or "
            + "[batch, classes, …]).");
    }

    private protected override Term Taken(LossContext context, Term output) =>
        FromLogits ? context.G.Sigmoid(Activations.InFrontOf(context, output, this)) : output;

    private protected override Term Each(GraphBuilder g, Term output, Term target)
    {
        int rank = output.Shape!.Rank;
        long[] axes = rank == 2 ? [1] : [.. Enumerable.Range(2, rank - 2).Select(i => (long)i)];
        Term both = g.ReduceSum(output * target, false, axes);
        Term all = g.ReduceSum(output, false, axes) + g.ReduceSum(target, false, axes);
        return 1 - (both * 2 + Smooth) / (all + Smooth);
    }

    private protected override LossValue Reduced(GraphBuilder g, Term each, Term target) => LossValue.Of(g, each, Reduction, each);

    internal override IEnumerable<string> Problems() => [.. base.Problems(), .. BelowZero(nameof(Smooth), Smooth)];
}
