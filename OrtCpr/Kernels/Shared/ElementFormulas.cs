using System.Numerics;
using System.Runtime.CompilerServices;

namespace OrtCpr.Kernels;

/// <summary>A function of one or two tensors, element by element.</summary>
internal interface IElementFormula
{
    /// <summary>Whether there is a second tensor.</summary>
    static abstract bool HasSecond { get; }

    /// <summary>One vector; <paramref name="second"/> is 0 where there is none.</summary>
    static abstract Vector<float> Of(Vector<float> first, Vector<float> second);
}

/// <summary>The formulas that kernels of ours have.</summary>
internal static class ElementFormulas
{
    private const float GeluScale = 0.7978845608f, Cubic = 0.044715f;

    /// <summary>sigmoid(2u), u = √(2/π)(x + 0.044715x³): ½(1 + tanh u).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Gate(Vector<float> x) =>
        VectorMath.Sigmoid(x * Vector.MultiplyAddEstimate(x * x, Vector.Create(2 * GeluScale * Cubic), Vector.Create(2 * GeluScale)));

    /// <summary>x·s, s = sigmoid(2u).</summary>
    internal readonly struct GeluTanh : IElementFormula
    {
        public static bool HasSecond => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Of(Vector<float> first, Vector<float> second) => first * Gate(first);
    }

    /// <summary>dy·s·(1 + x·(1 − s)·2du/dx), du/dx = √(2/π)(1 + 3·0.044715x²).</summary>
    internal readonly struct GeluTanhGrad : IElementFormula
    {
        public static bool HasSecond => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Of(Vector<float> first, Vector<float> second)
        {
            Vector<float> s = Gate(first);
            Vector<float> slope = first
                * Vector.MultiplyAddEstimate(first * first, Vector.Create(6 * GeluScale * Cubic), Vector.Create(2 * GeluScale));
            return second * s * Vector.MultiplyAddEstimate(slope, Vector<float>.One - s, Vector<float>.One);
        }
    }

    /// <summary>Φ(x) = ½(1 + erf(x/√2)).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Cumulative(Vector<float> x) =>
        Vector.MultiplyAddEstimate(VectorMath.Erf(x * Vector.Create(0.70710678f)), Vector.Create(0.5f), Vector.Create(0.5f));

    /// <summary>x·Φ(x).</summary>
    internal readonly struct GeluErf : IElementFormula
    {
        public static bool HasSecond => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Of(Vector<float> first, Vector<float> second) => first * Cumulative(first);
    }

    /// <summary>dy·(Φ(x) + x·φ(x)), φ(x) = exp(−x²/2)/√(2π).</summary>
    internal readonly struct GeluErfGrad : IElementFormula
    {
        public static bool HasSecond => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Of(Vector<float> first, Vector<float> second) =>
            second * Vector.MultiplyAddEstimate(first
                * Vector.Create(0.39894228f), VectorMath.Exp(first * first * Vector.Create(-0.5f)), Cumulative(first));
    }

    /// <summary>The second where the first is above 0.</summary>
    internal readonly struct ReluGrad : IElementFormula
    {
        public static bool HasSecond => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Of(Vector<float> first, Vector<float> second) => VectorMath.WherePositive(first, second);
    }
}
