namespace OrtCpr.Kernels;

/// <summary>The scalars of one Adam step, each formed in double and rounded to float once.</summary>
internal readonly struct AdamCoefficients
{
    /// <summary>Multiplies the gradient: clipping, loss scale, and the sign of maximize.</summary>
    public float GradientScale { get; init; }

    /// <summary>β2.</summary>
    public float Beta2 { get; init; }

    /// <summary>1 − β1, given and not computed: 1f − 0.9f is off by 2e-7 of itself.</summary>
    public float OneMinusBeta1 { get; init; }

    /// <summary>1 − β2.</summary>
    public float OneMinusBeta2 { get; init; }

    /// <summary>ε.</summary>
    public float Epsilon { get; init; }

    /// <summary>lr / (1 − β1^t).</summary>
    public float StepSize { get; init; }

    /// <summary>1 / sqrt(1 − β2^t), so that the loop multiplies.</summary>
    public float SecondMomentScale { get; init; }

    /// <summary>lr · weight decay; 0 leaves the parameter's bits alone.</summary>
    public float Decay { get; init; }

    /// <summary>The scalars that depend on the step; the others are still to be given.</summary>
    /// <param name="step">t, from 1.</param>
    /// <param name="learningRate">lr.</param>
    /// <param name="halfLogBeta1">−ln(β1)/2; +∞ for β1 = 0.</param>
    /// <param name="halfLogBeta2">The same of β2.</param>
    /// <param name="weightDecay">0 for Adam.</param>
    public static AdamCoefficients At(
        long step, double learningRate, double halfLogBeta1, double halfLogBeta2, double weightDecay) => new()
        {
            StepSize = (float)(learningRate / BiasCorrection(halfLogBeta1, step)),
            SecondMomentScale = (float)(1 / Math.Sqrt(BiasCorrection(halfLogBeta2, step))),
            Decay = (float)(learningRate * weightDecay),
        };

    /// <summary>1 − β^t.</summary>
    /// <remarks>
    /// β^t = (1−u)/(1+u) with u = tanh(−t·ln(β)/2), hence 1 − β^t = 2u/(1+u): no difference of nearly equal numbers, which
    /// would cost four digits at β = 0.999 and t = 1. β = 0 gives u = 1 and 1 − β^t = 1.</remarks>
    private static double BiasCorrection(double halfLogBeta, long step)
    {
        double u = Math.Tanh(halfLogBeta * step);
        return 2 * u / (1 + u);
    }
}
