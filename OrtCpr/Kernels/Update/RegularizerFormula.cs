using System.Numerics;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Kernels;

/// <summary>One regularizer with its loops, as function pointers: passes over a tensor are then written once.</summary>
internal readonly unsafe struct RegularizerFormula
{
    /// <summary>A new regularizer is a formula and a row.</summary>
    private static readonly Dictionary<Regularizer, RegularizerFormula> Table = new()
    {
        [Regularizer.L2] = Of<SquaredL2>(),
        [Regularizer.L1] = Of<L1>(),
        [Regularizer.Std] = Of<StandardDeviation>(),
        [Regularizer.Huber] = Of<Huber>(),
    };

    /// <summary>The formula of a regularizer.</summary>
    public static RegularizerFormula Of(Regularizer regularizer) => Table[regularizer];

    /// <summary>See <see cref="IRegularizer.Measure"/>.</summary>
    public delegate*<float*, nint, RegularizerSum> Measure { get; private init; }

    /// <summary>See <see cref="IRegularizer.Value"/>.</summary>
    public delegate*<in RegularizerSum, double> Value { get; private init; }

    /// <summary>See <see cref="IRegularizer.DirectionScale"/>.</summary>
    public delegate*<in RegularizerSum, double> DirectionScale { get; private init; }

    /// <summary>θ ← θ − rate · direction(θ), in place: (values, length, rate, mean).</summary>
    public delegate*<float*, nint, float, float, void> Descend { get; private init; }

    private static RegularizerFormula Of<TFormula>()
        where TFormula : struct, IRegularizer
        => new()
        {
            Measure = &TFormula.Measure,
            Value = &TFormula.Value,
            DirectionScale = &TFormula.DirectionScale,
            Descend = &DescendAlong<TFormula>,
        };

    /// <remarks>Reads and writes 4 bytes an element each. One rounding an element (fused), the same in lanes and scalar.</remarks>
    private static void DescendAlong<TFormula>(float* values, nint length, float rate, float mean)
        where TFormula : struct, IRegularizer
    {
        nint i = 0;
        if (Vector.IsHardwareAccelerated)
        {
            Vector<float> minusRates = Vector.Create(-rate);
            Vector<float> means = Vector.Create(mean);
            for (; i <= length - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> value = Vector.Load(values + i);
                Vector.Store(Vector.FusedMultiplyAdd(minusRates, TFormula.Direction(value, means), value), values + i);
            }
        }
        for (; i < length; i++)
            values[i] = MathF.FusedMultiplyAdd(-rate, TFormula.Direction(values[i], mean), values[i]);
    }
}
