using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>
/// The formula of one regularizer R, without any traversal. ∇R = <see cref="DirectionScale"/> · direction, so that one loop
/// descends them all: θ ← θ − rate · direction(θ).</summary>
internal unsafe interface IRegularizer
{
    /// <summary>The sum over one block of at most <see cref="Chunks.BlockLength"/> elements.</summary>
    static abstract RegularizerSum Measure(float* block, nint length);

    /// <summary>R, from the sum over the whole tensor.</summary>
    static abstract double Value(in RegularizerSum sum);

    /// <summary>The factor between direction and gradient.</summary>
    static abstract double DirectionScale(in RegularizerSum sum);

    /// <summary>The gradient's element-wise part; <paramref name="mean"/> is <see cref="RegularizerSum.Mean"/>.</summary>
    static abstract float Direction(float value, float mean);

    /// <summary>The same for a vector, bit for bit.</summary>
    static abstract Vector<float> Direction(Vector<float> value, Vector<float> mean);
}

/// <summary>A term of a regularizer that is a plain sum.</summary>
internal interface ITerm
{
    static abstract float Of(float value);

    static abstract Vector<float> Of(Vector<float> value);
}
