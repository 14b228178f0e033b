using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

/// <summary>The vector bodies against the scalar ones, which run where a run of elements is shorter than a vector.</summary>
[TestClass]
public sealed unsafe class AdamStepTests
{
    private const int Length = 1003;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Step_GivesTheSameBits_ElementByElementAndInVectors(bool amsGrad)
    {
        float[][] whole = Values();
        float[][] single = Values();
        Step(whole, amsGrad, Length);
        Step(single, amsGrad, 1);
        for (int i = 0; i < whole.Length; i++)
            Assert.IsTrue(whole[i].AsSpan().SequenceEqual(single[i]), $"tensor {i}");
    }

    [TestMethod]
    public void Descent_GivesTheSameBits_ElementByElementAndInVectors()
    {
        foreach (Regularizer name in Enum.GetValues<Regularizer>())
        {
            var regularizer = RegularizerFormula.Of(name);
            float[] whole = Values()[0];
            (whole[3], whole[4], whole[5], whole[6]) = (0, -0f, 1, -1);
            float[] single = [.. whole];
            fixed (float* pointer = whole)
                regularizer.Descend(pointer, Length, 0.01f, 0.3f);
            fixed (float* pointer = single)
            {
                for (int i = 0; i < Length; i++)
                    regularizer.Descend(pointer + i, 1, 0.01f, 0.3f);
            }
            Assert.IsTrue(whole.AsSpan().SequenceEqual(single), $"{name}");
        }
    }

    private static void Step(float[][] values, bool amsGrad, int stride)
    {
        AdamCoefficients coefficients = AdamCoefficients.At(3, 0.01, 0.05, 0.0005, 0.1) with
        {
            GradientScale = -0.7f,
            Beta2 = 0.999f,
            OneMinusBeta1 = 0.1f,
            OneMinusBeta2 = 0.001f,
            Epsilon = 1e-8f,
        };
        fixed (float* parameter = values[0], first = values[1], second = values[2], maximum = values[3], gradient = values[4])
        {
            UpdateTensors tensors = new()
            {
                Length = Length,
                Parameter = parameter,
                Gradient = gradient,
                NewParameter = parameter,
            };
            ReadOnlySpan<nint> states = [(nint)first, (nint)second, (nint)maximum];
            for (int i = 0; i < (amsGrad ? 3 : 2); i++)
                tensors.State[i] = tensors.NewState[i] = states[i];
            for (int start = 0; start < Length; start += stride)
                AdamStep.With(&coefficients).Run(tensors, start, stride);
        }
    }

    /// <summary>θ, m, v, v̂, g; second moments are not negative.</summary>
    private static float[][] Values()
    {
        Random random = new(3);
        float[][] values = new float[5][];
        for (int i = 0; i < values.Length; i++)
            values[i] = [.. Enumerable.Range(0, Length).Select(_ => (3 * random.NextSingle()) - (i is 2 or 3 ? 0 : 1.5f))];
        return values;
    }
}
