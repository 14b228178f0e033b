using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

/// <summary>
/// One variant on one tensor for a few steps: everything that the reference, the kernel and the session must agree on.
/// Gradients push every element away from the middle, and the learning rate falls at step 5. So R grows ever faster until
/// step 4 and slower at step 5, far from any rounding; every method sets its κ on the way and every λ becomes positive.
/// </summary>
internal sealed class UpdateScenario(UpdateVariant variant, int length, float middle = 0, float width = 1.7f)
{
    public const int Steps = 7;
    public const float Beta1 = 0.9f;
    public const float Beta2 = 0.99f;
    public const float Epsilon = 1e-8f;
    public const float WeightDecay = 0.05f;
    public const float CoupledDecay = 0.02f;
    public const float Momentum = 0.9f;
    public const float GradientScale = -0.5f;
    public const float KappaFactor = 0.9f;
    public const long WarmStartSteps = 3;
    public const long SampleInterval = 1;
    public const float SampleDecay = 0.1f;
    public const long MaxWaitSteps = 0;

    private static readonly float[] LearningRates = [0.01f, 0.02f, 0.03f, 0.04f, 0.005f, 0.005f, 0.005f];

    private readonly float[]?[] _gradients = new float[Steps][];

    public UpdateVariant Variant { get; } = variant;

    public int Length { get; } = length;

    public BoundKind? Method { get; } = variant.Method;

    /// <summary>Nesterov's form allows none.</summary>
    public float Dampening => Variant.Base.Nesterov ? 0 : 0.25f;

    /// <summary>μ divided by n, except for the standard deviation.</summary>
    public float KappaUpdate { get; } = variant.Regularizer == Regularizer.Std ? 0.5f : 0.5f / Math.Max(length, 1);

    /// <summary>s: the learning rate for one regularizer, 1 for the others, so that both are met.</summary>
    public float ConstraintRate(int step) => Variant.Regularizer == Regularizer.L1 ? LearningRate(step) : 1;

    public static float LearningRate(int step) => LearningRates[step - 1];

    public static float HalfLog(double beta) => (float)(-Math.Log(beta) / 2);

    public float[] InitialParameter() => Values(0, (random, _) => middle + (width * ((2 * random.NextSingle()) - 1)));

    /// <summary>Positive steps away from the middle; <see cref="GradientScale"/> is negative, so the sign is that of the
    /// distance.</summary>
    public float[] Gradient(int step) => _gradients[step - 1] ??= NewGradient(step);

    /// <summary>Unset, or for a uniform bound a κ that half of R exceeds.</summary>
    public ConstraintState InitialConstraint()
    {
        if (Method != BoundKind.Uniform)
            return new() { Kappa = double.NaN };
        double[] values = Array.ConvertAll(InitialParameter(), value => (double)value);
        return new() { Kappa = (float)(0.5 * ReferenceRegularizer.Value(Variant.Regularizer!.Value, values)), IsSet = true };
    }

    // Apart from its caller, which a test measures: a closure is allocated at the start of the method that has it.
    private float[] NewGradient(int step)
    {
        float[] initial = InitialParameter();
        return Values(step, (random, i) => (0.5f + random.NextSingle()) * (initial[i] >= middle ? 1 : -1));
    }

    private float[] Values(int stream, Func<Random, int, float> draw)
    {
        Random random = new((1000 * stream) + 17);
        float[] values = new float[Length];
        for (int i = 0; i < values.Length; i++)
            values[i] = draw(random, i);
        return values;
    }
}
