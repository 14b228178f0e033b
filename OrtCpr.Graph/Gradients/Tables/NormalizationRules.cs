using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Normalisations. Training-mode BatchNormalization never gets here: a pass decomposes it first.</summary>
internal static class NormalizationRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["LayerNormalization"] = LayerNormalization,
        ["BatchNormalization"] = BatchNormalization,
        ["InstanceNormalization"] = InstanceNormalization,
        ["GroupNormalization"] = GroupNormalization,
        ["RMSNormalization"] = RootMeanSquare,
        ["SimplifiedLayerNormalization"] = RootMeanSquare,
        ["MeanVarianceNormalization"] = MeanVarianceNormalization,
        ["LpNormalization"] = LpNormalization,
        ["LRN"] = LocalResponse,
    };

    /// <summary>x̂ = (x - mean)·r with r = 1/√(var + ε), over the given axes.</summary>
    private static (Term Normal, Term Inverse) Normalized(GraphBuilder g, Term x, double epsilon, long[] axes)
    {
        Term centred = x - g.ReduceMean(x, true, axes);
        Term inverse = g.Reciprocal(g.Sqrt(g.ReduceMean(centred * centred, true, axes) + epsilon));
        return (centred * inverse, inverse);
    }

    /// <summary>With h the gradient of x̂: dx = r·(h - mean(h) - x̂·mean(h·x̂)).</summary>
    internal static Term ThroughStatistics(GraphBuilder g, Term h, Term normal, Term inverse, long[] axes)
    {
        Term slope = normal * g.ReduceMean(h * normal, true, axes);
        return (h - g.ReduceMean(h, true, axes) - slope) * inverse;
    }

    private static long[] From(int axis, int rank) => [.. Enumerable.Range(axis, rank - axis).Select(i => (long)i)];

    /// <summary>y = x̂·γ + β. The statistics' own gradients join in dx.</summary>
    private static Value?[] LayerNormalization(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        int axis = op.Axis("axis", -1);
        long[] axes = From(axis, op.Rank(0));
        if (HasKernel(op, axis) && op.Dy(1) is null && op.Dy(2) is null)
        {
            Term[] results = RowNormalization.LayerNormGradOf(g, x, op.In(1), op.Out(1), op.Out(2), dy, axis);
            return [results[0], results[1], op.TryIn(2) is null ? null : results[2]];
        }
        // In float the kernel gives its own statistics for the asking.
        (Term normal, Term inverse) = x.Type == ElementType.Float ? ((x - op.Out(1)) * op.Out(2), op.Out(2))
            : Normalized(g, x, op.Node.Float("epsilon", 1e-5f), axes);
        Term dx = ThroughStatistics(g, dy * op.In(1), normal, inverse, axes);
        Term count = ReductionRules.CountOf(g, x, inverse);
        if (op.Dy(1) is Value dMean) dx = dx + g.Cast(dMean, x.Type) / count;
        if (op.Dy(2) is Value dInverse) dx = dx - normal * (inverse * inverse) * (g.Cast(dInverse, x.Type) / count);
        return [dx, dy * normal, op.TryIn(2) is null ? null : dy];
    }

    /// <summary>Float32 rows with a gain for each of their elements.</summary>
    private static bool HasKernel(Forward op, int axis) =>
        op.In(0).Type == ElementType.Float && op.In(1).Type == ElementType.Float
        && new Shape(op.In(0).Shape!.Skip(axis)).SurelyEquals(op.In(1).Shape);

    /// <summary>Inference form: an affine map per channel with given statistics.</summary>
    private static Value?[] BatchNormalization(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        int rank = op.Rank(0);
        Term inverse = g.Reciprocal(g.Sqrt(op.In(4) + op.Node.Float("epsilon", 1e-5f)));
        long[] others = AllButChannels(rank);
        Term gain = op.In(1) * inverse, normal = (x - g.PerChannel(op.In(3), rank)) * g.PerChannel(inverse, rank);
        Term dGain = g.ReduceSum(dy * normal, false, others), dBias = g.ReduceSum(dy, false, others);
        // Statistics that are computed in the model: ∂y/∂mean = -γr, ∂y/∂var = -½·γ·x̂·r².
        Term dVariance = dGain * gain * inverse * -0.5;
        return [dy * g.PerChannel(gain, rank), dGain, dBias, -(dBias * gain), dVariance];
    }

    internal static long[] AllButChannels(int rank) => [.. Enumerable.Range(0, rank).Where(i => i != 1).Select(i => (long)i)];

    /// <summary>Statistics of each channel of each sample.</summary>
    private static Value?[] InstanceNormalization(GraphBuilder g, Forward op, Term dy)
    {
        int rank = op.Rank(0);
        long[] axes = From(2, rank), others = AllButChannels(rank);
        (Term normal, Term inverse) = Normalized(g, op.In(0), op.Node.Float("epsilon", 1e-5f), axes);
        Term dx = ThroughStatistics(g, dy * g.PerChannel(op.In(1), rank), normal, inverse, axes);
        return [dx, g.ReduceSum(dy * normal, false, others), g.ReduceSum(dy, false, others)];
    }

    /// <summary>[N, C, …] as [N, groups, channels of a group, rest]. γ and β are one a group (version 18) or one a
    /// channel (21): as [groups, their number, 1] both broadcast.</summary>
    private static Value?[] GroupNormalization(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), groups = g.Ints(op.Node.Int("num_groups", 1));
        Term target = g.Folded(g.Concat(0, g.Ints(0), groups, g.DimOf(x, 1) / groups, g.Ints(-1)));
        Term Grouped(Value v) =>
            g.Op("Reshape", [v, target]).Typed(v.Type, new Shape(Dim.Unknown, op.Node.Int("num_groups", 1), Dim.Unknown, Dim.Unknown));
        Term gain = g.Reshape(op.In(1), g.Concat(0, groups, g.Ints(-1, 1))), d = Grouped(dy);
        (Term normal, Term inverse) = Normalized(g, Grouped(x), op.Node.Float("epsilon", 1e-5f), [2, 3]);
        Term dx = ThroughStatistics(g, d * gain, normal, inverse, [2, 3]);
        return [g.ReshapeLike(dx, x), g.ReshapeLike(g.SumTo(d * normal, gain), op.In(1)), g.ReshapeLike(g.SumTo(d, gain), op.In(2))];
    }

    /// <summary>y = x̂·γ, x̂ = x·r with r = 1/√(mean(x²) + ε): dx = r·(h - x̂·mean(h·x̂)); r itself may be an output:
    /// dr/dx = -x·r³/n.</summary>
    private static Value?[] RootMeanSquare(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        int axis = op.Axis("axis", -1);
        if (HasKernel(op, axis) && op.Dy(1) is null)
            return [.. RowNormalization.RmsNormGradOf(g, x, op.In(1), dy, axis, op.Node.Float("epsilon", 1e-5f))];
        long[] axes = From(axis, op.Rank(0));
        Term inverse = g.Reciprocal(g.Sqrt(g.ReduceMean(x * x, true, axes) + op.Node.Float("epsilon", 1e-5f)));
        Term normal = x * inverse, h = dy * op.In(1);
        Term dx = (h - normal * g.ReduceMean(h * normal, true, axes)) * inverse;
        if (op.Dy(1) is Value dInverse)
            dx = dx - normal * (inverse * inverse) * (g.Cast(dInverse, x.Type) / ReductionRules.CountOf(g, x, inverse));
        return [dx, dy * normal];
    }

    /// <summary>y = (x - mean) / (σ + 10⁻⁹), the ε of the operator's definition.</summary>
    private static Value?[] MeanVarianceNormalization(GraphBuilder g, Forward op, Term dy)
    {
        long[] axes = op.Node.Ints("axes") ?? [0, 2, 3];
        (Term normal, Term inverse) = Normalized(g, op.In(0), 1e-18, axes);
        return [ThroughStatistics(g, dy, normal, inverse, axes)];
    }

    /// <summary>y = x/‖x‖: dx = (dy - s·Σ dy·y)/‖x‖ with s = sign(x) for p = 1 and y for p = 2; 0 where the norm is
    /// 0.</summary>
    private static Value?[] LpNormalization(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), y = op.Out(0), zero = g.Scalar(0, x.Type);
        long axis = op.Axis("axis", -1);
        bool absolute = op.Node.Int("p", 2) == 1;
        Term norm = g.Reduce(absolute ? "ReduceL1" : "ReduceL2", x, true, axis);
        Term isZero = g.Equal(norm, zero), through = (absolute ? g.Sign(x) : y) * g.ReduceSum(dy * y, true, axis);
        return [g.Where(isZero, zero, (dy - through) / g.Where(isZero, 1, norm))];
    }

    /// <summary>y = x·s^-β, s = k + α/n·W(x²) with W the sum over n neighbouring channels: dx = dy·s^-β - 2αβ/n ·
    /// x·Wᵀ(dy·x·s^(-β-1)).</summary>
    private static Value?[] LocalResponse(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        long size = op.Node.Int("size", 1);
        double alpha = op.Node.Float("alpha", 1e-4f), beta = op.Node.Float("beta", 0.75f), bias = op.Node.Float("bias", 1);
        int rank = op.Rank(0);
        Term s = ChannelSum(g, x * x, rank, (size - 1) / 2, size / 2) * (alpha / size) + bias;
        Term scaled = dy * g.Pow(s, -beta);
        Term back = ChannelSum(g, scaled * x / s, rank, size / 2, (size - 1) / 2);
        return [scaled - x * back * (2 * alpha * beta / size)];
    }

    /// <summary>Sums over channels from <c>before</c> in front to <c>after</c> after it.</summary>
    private static Term ChannelSum(GraphBuilder g, Value v, int rank, long before, long after)
    {
        long[] others = new long[rank - 2];
        Term padded = g.PadFrom(1, v, g.Ints([before, .. others]), g.Ints([after, .. others]));
        long last = before + after;
        return g.Op(
            "Sum", [.. Enumerable.Range(0, (int)last + 1)
                .Select(i => (Value?)g.Slice(padded, [i], [i == last ? long.MaxValue : i - last], [1]))]);
    }
}
