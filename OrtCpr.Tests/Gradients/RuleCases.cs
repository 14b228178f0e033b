using OrtCpr.Graph;

namespace OrtCpr.Tests.Gradients;

/// <summary>The rows of the property test, a file a family; every operator with a gradient rule has at least one.
/// Floating values are a shuffled grid: no two are equal and none is 0, so that no small step crosses a kink.</summary>
internal static partial class RuleCases
{
    public static IReadOnlyList<RuleCase> All { get; } =
    [
        .. Arithmetic, .. Activations, .. Matrices, .. Movements, .. Indexing, .. Reductions, .. Convolutions, .. TransposedConvolutions,
        .. Pools, .. Normalizations, .. Losses, .. Sampling, .. Spectra, .. Regions, .. LinearAlgebra,
        .. ControlFlow, .. Recurrent, .. Attentions, .. SparseAttentions, .. Fused, .. Sequences, .. Streams, .. Experts,
    ];

    internal static RuleCase Case(string op, Feed?[] inputs, params (string Name, object Value)[] attributes) =>
        new(op, inputs, attributes);

    internal static RuleCase Case(string op, Feed input, params (string Name, object Value)[] attributes) => new(op, [input], attributes);

    /// <summary>Values between -2 and 2.</summary>
    internal static Feed X(params long[] shape) => Between(-2, 2, shape);

    internal static Feed Between(double low, double high, params long[] shape)
    {
        int count = (int)shape.Aggregate(1L, (p, d) => p * d);
        int[] order = [.. Enumerable.Range(0, count)];
        new Random(count + shape.Length).Shuffle(order);
        return new(ElementType.Double, shape, [.. order.Select(i => low + ((high - low) * (i + 0.37) / count))]);
    }

    internal static Feed Exactly(long[] shape, params double[] values) => new(ElementType.Double, shape, values);

    /// <summary>An INT64 vector that is part of the model.</summary>
    internal static Feed Ints(params long[] values) => Ints([values.Length], values);

    internal static Feed Ints(long[] shape, long[] values) =>
        new(ElementType.Int64, shape, [.. values.Select(v => (double)v)]) { Constant = true };

    internal static Feed Int(long value) => Ints([], [value]);

    internal static Feed Bools(long[] shape, params int[] values) => new(ElementType.Bool, shape, [.. values.Select(v => (double)v)]);

    /// <summary>A floating constant without a gradient, part of the model.</summary>
    internal static Feed Fixed(Feed feed) => feed with { Differentiated = false, Constant = true };

    /// <summary>An input without a gradient, known only when the model runs.</summary>
    internal static Feed Fed(Feed feed) => feed with { Differentiated = false, Constant = false };
}
