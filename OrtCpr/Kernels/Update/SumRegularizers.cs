using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>R = Σθ² (no root, no ½), ∇R = 2θ.</summary>
internal readonly unsafe struct SquaredL2 : IRegularizer, ITerm
{
    public static float Of(float value) => value * value;

    public static Vector<float> Of(Vector<float> value) => value * value;

    public static RegularizerSum Measure(float* block, nint length) => new(length, BlockSum.Of<SquaredL2>(block, length), 0);

    public static double Value(in RegularizerSum sum) => sum.Total;

    public static double DirectionScale(in RegularizerSum sum) => 2;

    public static float Direction(float value, float mean) => value;

    public static Vector<float> Direction(Vector<float> value, Vector<float> mean) => value;
}

/// <summary>R = Σ|θ|, ∇R = sign θ with 0 at 0.</summary>
internal readonly unsafe struct L1 : IRegularizer, ITerm
{
    public static float Of(float value) => MathF.Abs(value);

    public static Vector<float> Of(Vector<float> value) => Vector.Abs(value);

    public static RegularizerSum Measure(float* block, nint length) => new(length, BlockSum.Of<L1>(block, length), 0);

    public static double Value(in RegularizerSum sum) => sum.Total;

    public static double DirectionScale(in RegularizerSum sum) => 1;

    /// <summary>Not <see cref="MathF.Sign(float)"/>, which throws for NaN.</summary>
    public static float Direction(float value, float mean) => value > 0 ? 1 : value < 0 ? -1 : value;

    public static Vector<float> Direction(Vector<float> value, Vector<float> mean) => Vector.ConditionalSelect(
        Vector.GreaterThan(value, Vector<float>.Zero),
        Vector<float>.One,
        Vector.ConditionalSelect(Vector.LessThan(value, Vector<float>.Zero), -Vector<float>.One, value));
}

/// <summary>R = Σ (½θ² where |θ| &lt; 1, else |θ| − ½), ∇R = θ clamped to [−1, 1].</summary>
internal readonly unsafe struct Huber : IRegularizer, ITerm
{
    /// <summary>With a = min(|θ|, 1) both cases are a·(|θ| − a/2).</summary>
    public static float Of(float value)
    {
        float magnitude = MathF.Abs(value);
        float bounded = MathF.Min(magnitude, 1);
        return bounded * (magnitude - (0.5f * bounded));
    }

    public static Vector<float> Of(Vector<float> value)
    {
        Vector<float> magnitude = Vector.Abs(value);
        Vector<float> bounded = Vector.Min(magnitude, Vector<float>.One);
        return bounded * (magnitude - (Vector.Create(0.5f) * bounded));
    }

    public static RegularizerSum Measure(float* block, nint length) => new(length, BlockSum.Of<Huber>(block, length), 0);

    public static double Value(in RegularizerSum sum) => sum.Total;

    public static double DirectionScale(in RegularizerSum sum) => 1;

    public static float Direction(float value, float mean) => MathF.Max(MathF.Min(value, 1), -1);

    public static Vector<float> Direction(Vector<float> value, Vector<float> mean) =>
        Vector.Max(Vector.Min(value, Vector<float>.One), -Vector<float>.One);
}
